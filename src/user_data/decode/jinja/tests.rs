use super::{Branch, Rendered};

fn render(template: &str) -> Rendered {
    super::render(template, Branch::First)
}

fn text(template: &str) -> String {
    render(template).text
}

/// The same templates as in `tests/cloud_init_oracle.rs`, where Jinja2 itself renders them.
#[test]
fn what_a_template_puts_together_is_read_as_it_comes_out() {
    for (template, wanted) in [
        ("a{# c #}b", "ab"),
        ("{{ 'a' ~ \"b\" }}c", "abc"),
        ("{{ 'a' 'b' }}", "ab"),
        ("{{ '\\x61\\n\\'b\\u0063\\144' }}", "a\n'bcd"),
        ("{{ ['a','b']|join }}{{ '-'.join(['x','y']) }}", "abx-y"),
        ("{{ 'cba'|reverse }}{{ 'fed'[::-1] }}", "abcdef"),
        ("{{ 'axc'|replace('x', 'b') }}{{ 'q'.replace('q', 'd') }}", "abcd"),
        ("{{ '%s-%s' % ('a', 1) }}{{ '{}{}'.format('x', 'y') }}", "a-1xy"),
        ("{% set a = 'x' %}\n{% set b = a ~ 'y' %}\n{{ b }}", "xy"),
        ("{% set a %}lo{{ 'ng' }}{% endset %}{{ a|upper }}", "LONG"),
        ("{% for c in ['a', 'b'] %}{{ c }};{% endfor %}", "a;b;"),
        ("{% for c in 'abc' %}{{ c }}{% endfor %}", "abc"),
        ("{% macro m(x, y) %}{{ x }}-{{ y }}{% endmacro %}{{ m('a', 'b') }}", "a-b"),
        ("{% if true %}a{% else %}b{% endif %}{% if 0 %}c{% elif 1 %}d{% endif %}", "ad"),
        ("{% filter reverse %}cba{% endfilter %}", "abc"),
        ("{% raw %}{{ a }}{% endraw %}", "{{ a }}"),
        ("a \n {%- if 1 -%} \n b{% endif %}\nc", "abc"),
        ("{{ {'k': 'v'}['k'] }}{{ {'k': 'w'}.k }}{{ ['a', 'b'][1] }}", "vwb"),
        ("{{ '}}' }}{{ 'a' if 1 == 1 else 'b' }}", "}}a"),
        ("{% set a, b = 'x', 'y' %}{% set c, d = ['z', 'w'] %}{{ a }}{{ b }}{{ c }}{{ d }}", "xyzw"),
        ("{% set n = namespace(a='x') %}{% set n.a = n.a ~ 'y' %}{{ n.a }}", "xy"),
        ("{% set l = [] %}{% do l.append('a') %}{% do l.append('b') %}{{ l|join }}", "ab"),
    ] {
        assert_eq!(text(template), wanted, "{template}");
    }
}

#[test]
fn what_only_the_instance_knows_stands_as_a_variable() {
    let rendered = render("https://{{ v1.region }}.example.com/{{ ds.meta_data['x'] | lower }}");
    assert_eq!(rendered.text, "https://$v1_region.example.com/$ds_meta_data_x");
    assert_eq!(rendered.unknown.as_deref(), Some("v1.region"));
    assert_eq!(rendered.built, None);
}

#[test]
fn all_branches_of_a_condition_that_is_not_known_are_read() {
    let rendered =
        render("{% if v1.distro == 'ubuntu' %}\napt\n{% elif x %}\nyum\n{% else %}\napk\n{% endif %}\n");
    assert_eq!(rendered.text, "apt\nyum\napk\n");
    assert_eq!(rendered.unknown, None);
}

#[test]
fn text_that_is_put_together_is_said() {
    for template in ["{{ 'cu' ~ x }}", "{{ 'a'|frobnicate('b') }}", "{{ ['a', 'b']|join }}", "{{ 'a' * 3 }}"]
    {
        assert!(render(template).built.is_some(), "{template}");
    }
    assert!(text("{{ 'curl x'|frobnicate('| sh') }}").contains("curl x | sh"));
}

#[test]
fn broken_templates_keep_their_text() {
    for template in ["${HOME} {a,b} {{ open", "{% if x", "{# never", "{", "}} {%", "{% endif %}a{% else %}"] {
        text(template);
    }
    assert_eq!(text("${HOME} {a,b} {{ open"), "${HOME} {a,b} {{ open");
}

/// Work is counted: twice the template costs about twice the steps, whatever is in it.
#[test]
fn no_template_makes_more_than_its_length_and_a_little() {
    let size = 200_000;
    for fragment in [
        "{{",
        "{%",
        "{#",
        "{{ \" }}",
        "{{ ' }}",
        "{% for a in 'aaaaaaaaaaaaaaaaaaaaaaaaa' %}",
        "{{ a }}",
        "{{ 'a' ~",
        "{% if x %}",
        "{% set a = a ~ a %}",
        "{% macro m() %}{{ m() }}",
        "{{ ((((",
        "{{ [[[[",
        "{{ -",
        "{% raw %}",
        "{% set a = 'x' * 60000 %}{{ a }}",
        "{{ not ",
        "{% filter reverse %}",
        "\\",
        "{{ a[",
        "{% else %}",
    ] {
        let template =
            format!("{{% set a = 'xxxxxxxxxxxxxxxx' %}}{}", fragment.repeat(size / fragment.len()));
        let rendered = render(&template);
        assert!(rendered.text.len() <= template.len() + (64 << 10), "{fragment}");
    }
}

#[test]
fn branches_within_a_line_are_two_texts() {
    let template =
        "{% if v1.x %}cu{% elif y %}wi{% else %}we{% endif %}{% if z %}rl{% else %}get{% endif %} x\n";
    let first = super::render(template, Branch::First);
    assert!(first.within_line);
    assert_eq!(first.text, "curl x\n");
    assert_eq!(super::render(template, Branch::Last).text, "weget x\n");
    assert!(!render("{% if x %}\na\n{% else %}\nb\n{% endif %}\n").within_line);
}
