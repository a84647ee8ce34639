//! The proposal as a policy file: YAML with the evidence beside each line.

use std::fmt::Write;

use super::draft::{Draft, Entry};
use crate::policy::{Approved, Listed, Policy, PolicyError, Pusher, Schedule};
use crate::text::{clean, redact};

/// Lines of a section that are comments; the rest is a count.
const COMMENTS: usize = 200;
/// Characters of a comment.
const COMMENT: usize = 300;

impl Draft {
    /// The policy file. It loads, and says what the approved entries say: that is checked here.
    ///
    /// # Errors
    /// Where it does not load: a fault of this program, with the line.
    pub fn to_yaml(&self) -> Result<String, PolicyError> {
        let text = self.written();
        Policy::parse(&text, "the learned policy")?;
        Ok(text)
    }

    fn written(&self) -> String {
        let mut out = String::new();
        line(&mut out, "# Imagewarden policy, proposed by `imagewarden learn` from what was seen.");
        line(&mut out, "#");
        for sentence in &self.header {
            line(&mut out, &format!("# {}", comment(sentence)));
        }
        line(&mut out, "#");
        line(
            &mut out,
            "# Each line says how often something was seen, and from when to when. What is marked `# review:`",
        );
        line(
            &mut out,
            "# looked odd: decide. Of those, lines that are comments themselves are not approved; take the mark",
        );
        line(
            &mut out,
            "# away to approve. Keys that are not here have their defaults: `imagewarden policy show`.",
        );
        line(
            &mut out,
            &format!("# To review: {}.", crate::alert::count(self.reviews() as u64, "line", "lines")),
        );
        line(&mut out, "");
        line(&mut out, "images:");
        line(&mut out, "  approved:");
        list(&mut out, 4, "owners", &self.owners, |value| quoted(value));
        list(&mut out, 4, "ids", &self.ids, |value| quoted(value));
        let default = Approved::default();
        if !self.azure_publishers.is_empty() {
            let publishers = with_default(&self.azure_publishers, &default.azure_publishers);
            list(&mut out, 4, "azure_publishers", &publishers, |value| quoted(value));
        }
        if !self.gcp_projects.is_empty() {
            let projects = with_default(&self.gcp_projects, &default.gcp_projects);
            list(&mut out, 4, "gcp_projects", &projects, |value| quoted(value));
        }
        remarks(&mut out, 4, "Images that were not approved by a line here:", &self.images_unknown);
        if let Some(command) = &self.facts_command {
            line(
                &mut out,
                "    # The logs do not name images' owners. These commands fetch them; then learn again with --facts facts:",
            );
            for each in command.lines() {
                line(&mut out, &format!("    #   {}", clean(each, 4_000)));
            }
        }
        if !self.hosts.is_empty() {
            line(&mut out, "");
            line(&mut out, "user_data:");
            line(&mut out, "  trusted:");
            list(&mut out, 4, "hosts", &self.hosts, |value| quoted(value));
        }
        if !self.schedules.is_empty() || !self.pushers.is_empty() {
            line(&mut out, "");
            line(&mut out, "uploads:");
        }
        if !self.schedules.is_empty() {
            list(&mut out, 2, "schedules", &self.schedules, schedule);
            remarks(&mut out, 2, "Pushes outside these hours:", &self.outside);
        }
        if !self.pushers.is_empty() {
            list(&mut out, 2, "pushers", &self.pushers, pusher);
        }
        if !self.registries.is_empty() {
            line(&mut out, "");
            line(&mut out, "containers:");
            list(&mut out, 2, "registries", &self.registries, |value| quoted(value));
        }
        if !self.loud.is_empty() {
            line(&mut out, "");
            remarks(&mut out, 0, "What `imagewarden hunt` tells whatever the policy:", &self.loud);
        }
        out
    }
}

fn line(out: &mut String, text: &str) {
    out.push_str(text.trim_end());
    out.push('\n');
}

/// A key with its entries; those that are not approved are comments below the others.
/// A list that is written replaces its default, so it has to hold that too.
fn with_default(entries: &[Entry<String>], default: &[Listed]) -> Vec<Entry<String>> {
    let implied = default
        .iter()
        .map(Listed::as_str)
        .filter(|value| !entries.iter().any(|entry| entry.approved && entry.value == *value))
        .map(|value| Entry::approved(value.to_owned(), "approved by default"));
    implied.chain(entries.iter().cloned()).collect()
}

fn list<T>(out: &mut String, indent: usize, key: &str, entries: &[Entry<T>], value: impl Fn(&T) -> String) {
    let approved: Vec<&Entry<T>> = entries.iter().filter(|entry| entry.approved).collect();
    let empty = if approved.is_empty() { " []" } else { "" };
    line(out, &format!("{:indent$}{key}:{empty}", ""));
    for entry in approved {
        line(out, &format!("{:indent$}  {}", "", item(entry, &value)));
    }
    let refused: Vec<&Entry<T>> = entries.iter().filter(|entry| !entry.approved).collect();
    for entry in refused.iter().take(COMMENTS) {
        line(out, &format!("{:indent$}  # {}", "", item(entry, &value)));
    }
    if let rest @ 1.. = refused.len().saturating_sub(COMMENTS) {
        let rest = crate::alert::count(rest as u64, "other", "others");
        line(out, &format!("{:indent$}  # review: and {rest} that are not approved", ""));
    }
}

/// `- "value"  # evidence  # review: why`: the list item with its comments.
pub(super) fn item<T>(entry: &Entry<T>, value: impl Fn(&T) -> String) -> String {
    let mut text = format!("- {}", value(&entry.value));
    let _ = write!(text, "  # {}", comment(&entry.evidence));
    if let Some(review) = &entry.review {
        let _ = write!(text, "  # review: {}", comment(review));
    }
    text
}

fn remarks(out: &mut String, indent: usize, heading: &str, entries: &[Entry<String>]) {
    if entries.is_empty() {
        return;
    }
    line(out, &format!("{:indent$}# {heading}", ""));
    for entry in entries.iter().take(COMMENTS) {
        let review = entry.review.as_deref().unwrap_or_default();
        let (value, evidence) = (comment(&entry.value), comment(&entry.evidence));
        line(out, &format!("{:indent$}#   {value}: {evidence}  # review: {}", "", comment(review)));
    }
    if let rest @ 1.. = entries.len().saturating_sub(COMMENTS) {
        let rest = crate::alert::count(rest as u64, "other", "others");
        line(out, &format!("{:indent$}#   review: and {rest}", ""));
    }
}

/// Text for a comment: one line, nothing hidden, no secrets.
fn comment(text: &str) -> String {
    clean(&redact(&clean(text, COMMENT.saturating_mul(2))), COMMENT)
}

/// A YAML scalar that means exactly this text: bare where nothing can be mistaken, else in quotes.
pub(super) fn quoted(text: &str) -> String {
    let bare = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
            .contains(&text.to_ascii_lowercase().as_str());
    if bare {
        return text.to_owned();
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_ascii_graphic() || c == ' ' => out.push(c),
            // Letters of any script as they are; everything that does not show, or turns what does, is spelt.
            c if c.is_alphanumeric() => out.push(c),
            c => {
                let code = u32::from(c);
                let _ =
                    if code > 0xffff { write!(out, "\\U{code:08x}") } else { write!(out, "\\u{code:04x}") };
            }
        }
    }
    out.push('"');
    out
}

fn names(values: &[String]) -> String {
    let values: Vec<String> = values.iter().map(|value| quoted(value)).collect();
    format!("[{}]", values.join(", "))
}

pub(super) fn pusher(pusher: &Pusher) -> String {
    format!("{{principal: {}, repositories: {}}}", quoted(&pusher.principal), names(&pusher.repositories))
}

pub(super) fn schedule(schedule: &Schedule) -> String {
    let days: Vec<&str> = schedule.days.iter().map(|day| day.name()).collect();
    let zone = schedule.zone.as_ref().map_or_else(|| "UTC".to_owned(), |zone| zone.to_string());
    format!(
        "{{days: [{}], hours: \"{}\", zone: {}, repositories: {}, principals: {}}}",
        days.join(", "),
        schedule.hours,
        quoted(&zone),
        names(&schedule.repositories),
        names(&schedule.principals)
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_survives_quoting(text in any::<String>()) {
            let yaml = format!("- {}  # x\n", quoted(&text));
            let read: Vec<String> = serde_saphyr::from_str(&yaml).unwrap();
            prop_assert_eq!(read, vec![text]);
        }

        #[test]
        fn no_comment_breaks_out_of_its_line(text in any::<String>()) {
            let entry = Entry::refused("x".to_owned(), text.clone(), text);
            let item = item(&entry, |value| quoted(value));
            prop_assert_eq!(item.lines().count(), 1);
            let read: Vec<String> = serde_saphyr::from_str(&format!("{item}\n")).unwrap();
            prop_assert_eq!(read, vec!["x".to_owned()]);
        }
    }
}
