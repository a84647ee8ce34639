//! A page as it grows. Markup can only be a literal; whatever else goes in is escaped.

use crate::alert::{safe, words};

/// HTML under construction.
#[derive(Debug, Default)]
pub struct Html {
    text: String,
}

impl Html {
    /// Markup: a literal, so that nothing from an event can get in unescaped.
    pub fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.text.push_str(markup);
        self
    }

    /// Text from an event: one line, secrets redacted, nothing invisible, at most `max` characters.
    pub fn told(&mut self, text: &str, max: usize) -> &mut Self {
        self.escaped(&safe::line(text, max))
    }

    /// As [`Html::told`] with nothing redacted: identifiers, and sentences of our own.
    pub fn shown(&mut self, text: &str, max: usize) -> &mut Self {
        self.escaped(&safe::shown(text, max))
    }

    /// Text on several lines: commands, the policy.
    pub fn verbatim(&mut self, text: &str) -> &mut Self {
        self.escaped(&safe::verbatim(text))
    }

    /// Text as it is, between tags or in a quoted attribute.
    pub fn escaped(&mut self, text: &str) -> &mut Self {
        for c in text.chars() {
            match c {
                '&' => self.text.push_str("&amp;"),
                '<' => self.text.push_str("&lt;"),
                '>' => self.text.push_str("&gt;"),
                '"' => self.text.push_str("&quot;"),
                '\'' => self.text.push_str("&#39;"),
                c => self.text.push(c),
            }
        }
        self
    }

    /// A number with its thousands apart: `12,345`.
    pub fn number(&mut self, number: u64) -> &mut Self {
        self.text.push_str(&words::thousands(number));
        self
    }

    /// What another page part made.
    pub fn part(&mut self, part: &Html) -> &mut Self {
        self.text.push_str(&part.text);
        self
    }

    pub fn len(&self) -> usize {
        self.text.len()
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        let mut html = Html::default();
        html.raw("<b title=\"").told("\"><script>alert('x')</script>&amp;", 100).raw("\">");
        assert_eq!(
            html.as_str(),
            "<b title=\"&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;amp;\">"
        );
    }
}
