//! Scripts as they run: cloud-init writes all of `runcmd` into one shell script, so a variable set by
//! one entry counts in the next. Pieces stay one an entry, since that is where people look.

use super::{Content, Language, Piece};

/// Script text that one interpreter runs, and where its lines came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub language: Language,
    /// The pieces' texts, each on lines of its own.
    pub text: String,
    /// First line (from 1) and path of every piece.
    places: Vec<(usize, String)>,
}

impl Session {
    /// The path to a line of [`Session::text`], counted from 1: `cloud-config > runcmd[3] > line 1`.
    #[must_use]
    pub fn place(&self, line: usize) -> String {
        let index = self.places.partition_point(|(first, _)| *first <= line);
        let (first, path) = match index.checked_sub(1).and_then(|index| self.places.get(index)) {
            Some((first, path)) => (*first, path.as_str()),
            None => (1, ""),
        };
        super::join(path, &format!("line {}", line.saturating_sub(first) + 1))
    }
}

/// The scripts among pieces, in order, those of one `runcmd` or `bootcmd` together.
#[must_use]
pub fn sessions(pieces: &[Piece]) -> Vec<Session> {
    let mut sessions: Vec<Session> = Vec::new();
    // The list that the last session came from, and the line it would go on with.
    let mut open: Option<(&str, usize)> = None;
    for piece in pieces {
        let Content::Script { language, text } = &piece.content else { continue };
        let list = shared_list(&piece.path).filter(|_| *language == Language::Shell);
        match (sessions.last_mut(), open, list) {
            (Some(session), Some((before, line)), Some(list)) if before == list => {
                session.places.push((line, piece.path.clone()));
                open = Some((list, line + push(&mut session.text, text)));
            }
            _ => {
                let mut joined = String::with_capacity(text.len());
                let lines = push(&mut joined, text);
                let text = if list.is_some() { joined } else { text.clone() };
                sessions.push(Session { language: *language, text, places: vec![(1, piece.path.clone())] });
                open = list.map(|list| (list, lines + 1));
            }
        }
    }
    sessions
}

/// Adds text and the line break cloud-init puts behind it; how many lines that is.
fn push(to: &mut String, text: &str) -> usize {
    to.push_str(text);
    to.push('\n');
    text.matches('\n').count() + 1
}

/// `part 1 > cloud-config > runcmd` of `part 1 > cloud-config > runcmd[3]`.
fn shared_list(path: &str) -> Option<&str> {
    let (list, _) = path.strip_suffix(']')?.rsplit_once('[')?;
    ["runcmd", "bootcmd"].iter().any(|name| list.ends_with(name)).then_some(list)
}
