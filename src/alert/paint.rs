//! Colour, where the reader's terminal takes it.

use anstyle::{AnsiColor, Color, Style};

use crate::severity::Severity;

/// Labels and everything that is not news.
pub const FAINT: Style = Style::new().dimmed();
pub const STRONG: Style = Style::new().bold();
pub const COMMAND: Style = Style::new().fg_color(Some(Color::Ansi(AnsiColor::Cyan)));
pub const GOOD: Style = Style::new().fg_color(Some(Color::Ansi(AnsiColor::Green)));
pub const DOUBT: Style = Style::new().fg_color(Some(Color::Ansi(AnsiColor::Yellow)));

pub fn of(severity: Severity) -> Style {
    let colour = |colour| Style::new().bold().fg_color(Some(Color::Ansi(colour)));
    match severity {
        Severity::Critical => colour(AnsiColor::White).bg_color(Some(Color::Ansi(AnsiColor::Red))),
        Severity::High => colour(AnsiColor::Red),
        Severity::Medium => colour(AnsiColor::Yellow),
        Severity::Low => colour(AnsiColor::Blue),
        Severity::Informational => Style::new().bold(),
    }
}

/// The text between the style's codes, or as it is.
pub fn paint(text: &str, style: Style, colour: bool) -> String {
    if colour && !text.is_empty() { format!("{style}{text}{style:#}") } else { text.to_owned() }
}
