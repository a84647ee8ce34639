//! Where words and commands end, and what keywords open and close.

use super::super::{Command, Redirect, RedirectOp, Span, SubKind, Word};
use super::Lexer;
use super::frame::{Case, Frame, Header, Kind, WordBuf};
use super::word::identifier;

/// Words that one pair of braces may stand for.
const MAX_ALTERNATIVES: usize = 64;
/// Redirections of a compound command that its commands inherit.
const MAX_INHERITED: usize = 4;

impl Lexer<'_, '_> {
    /// Open a frame. Pipes into a compound command go to the commands inside.
    pub(super) fn open(&mut self, kind: Kind, opened: usize) {
        let mut frame = Frame::new(kind, opened, self.scan.command_count());
        if let Some(parent) = self.stack.last_mut()
            && (frame.is_compound() || frame.kind == Kind::Paren)
        {
            frame.inherited = parent.pipe.take().or(parent.inherited);
            frame.body_of = parent.function.take();
            parent.offset = None;
        }
        self.stack.push(frame);
    }

    /// Close the innermost frame, whatever it is.
    pub(super) fn close_top(&mut self) {
        let is_text = matches!(
            self.top().map(|frame| &frame.kind),
            Some(Kind::Parameter(_) | Kind::Arithmetic { .. } | Kind::Body)
        );
        if !is_text {
            if matches!(self.top().map(|frame| &frame.kind), Some(Kind::Array(_))) {
                self.end_word();
            } else {
                self.end_command(false);
            }
        }
        if self.stack.len() <= 1 {
            return;
        }
        let Some(mut frame) = self.stack.pop() else { return };
        let span = Span { start: frame.start, end: self.scan.command_count() };
        match frame.kind {
            Kind::Substitution(kind) => self.paste_substitution(kind, span),
            Kind::Backtick => self.paste_substitution(SubKind::Command, span),
            Kind::Parameter(name) => {
                let word = frame.word.take();
                self.close_parameter(&name, word);
            }
            Kind::Arithmetic { value: true, .. } => self.paste_unknown("0"),
            Kind::Arithmetic { .. } => {}
            Kind::Array(name) => self.close_array(&name, frame.words),
            _ => {
                if let Some(name) = frame.body_of {
                    self.scan.define(name, span);
                }
                if let Some(parent) = self.stack.last_mut() {
                    parent.group = Some(span);
                }
            }
        }
    }

    fn close_array(&mut self, name: &str, items: Vec<Word>) {
        let append =
            self.top().and_then(|frame| frame.word.as_ref()).is_some_and(|word| word.text.contains('+'));
        self.scan.env.set_items(name, &items, append);
        let word = self.word();
        for item in items {
            if !word.text.ends_with('=') {
                word.text.push(' ');
            }
            word.text.push_str(&item.text);
            word.dynamic |= item.dynamic;
            if let Some(from) = item.from {
                word.expansions().subs.extend(from.subs);
                word.expansions().vars.extend(from.vars);
            }
        }
        word.expanded = true;
        word.equals = None;
        // The variable is set already; what is kept of the assignment is where its value came from.
        let mut value =
            self.stack.last_mut().and_then(|frame| frame.word.take()).unwrap_or_default().finish();
        value.text = value.text.split_once('=').map_or("", |(_, value)| value).to_owned();
        if let Some(frame) = self.stack.last_mut() {
            frame.assigns.push((name.to_owned(), value));
        }
    }

    /// The word under construction is complete.
    pub(super) fn end_word(&mut self) {
        let Some(frame) = self.stack.last_mut() else { return };
        let Some(word) = frame.word.take() else { return };
        match self.scan.budget.words.checked_sub(1) {
            Some(left) => self.scan.budget.words = left,
            // Beyond what is kept, only those that may be commands are.
            None if !frame.words.is_empty() => {
                self.scan.script.over_bound = true;
                return;
            }
            None => {}
        }
        if let Some((op, fd)) = frame.redirect.take() {
            return self.redirect_to(op, fd, word);
        }
        if frame.testing {
            frame.testing = !(word.bare() && word.text == "]]");
            frame.words.push(word.finish());
            return;
        }
        match frame.header {
            Header::CaseWord if word.bare() && word.text == "in" && !frame.words.is_empty() => {
                frame.words.clear();
                frame.header = Header::None;
                frame.kind = Kind::Case(Case::Pattern);
                return;
            }
            Header::Function => {
                frame.header = Header::None;
                frame.offset = None;
                frame.function = Some(word.text);
                return;
            }
            _ => {}
        }
        if frame.kind == Kind::Case(Case::Pattern) && frame.header == Header::None {
            if frame.words.is_empty() && word.bare() && word.text == "esac" {
                return self.close_compound(|kind| matches!(kind, Kind::Case(_)));
            }
            if !frame.words.is_empty() {
                // Two words in a row are no pattern: the `)` is missing, and these are commands.
                frame.kind = Kind::Case(Case::Commands);
            }
            frame.words.push(word.finish());
            return;
        }
        if frame.words.is_empty() && frame.header == Header::None && !matches!(frame.kind, Kind::Array(_)) {
            if word.bare() && self.keyword(&word.text) {
                return;
            }
            if let Some(equals) = word.equals {
                return self.assign(word, equals);
            }
        }
        let Some(frame) = self.stack.last_mut() else { return };
        frame.testing = frame.words.is_empty() && word.bare() && word.text == "[[";
        if word.expanded && word.text.is_empty() && !word.quoted {
            // An expansion to nothing is no word, but where it came from may matter to the first.
            if word.from.is_none() || !frame.words.is_empty() {
                return;
            }
        }
        if word.brace
            && word.comma
            && !word.expanded
            && let Some(alternatives) = braces(&word)
        {
            frame.disguised |= frame.words.is_empty() && alternatives.len() > 1;
            frame.words.extend(alternatives.into_iter().map(Word::literal));
            return;
        }
        let declares = frame.words.first().is_some_and(|first| {
            matches!(first.text.as_str(), "export" | "declare" | "local" | "readonly" | "typeset")
        });
        if let Some(equals) = word.equals.filter(|_| declares) {
            let name = word.text.get(..equals).unwrap_or("").to_owned();
            let mut value = word.finish();
            frame.words.push(value.clone());
            value.text.drain(..(equals + 1).min(value.text.len()));
            self.scan.env.set(&name, &value, false);
            frame.assigns.push((name, value));
            return;
        }
        frame.words.push(word.finish());
    }

    fn assign(&mut self, word: WordBuf, equals: usize) {
        let mut name = word.text.get(..equals).unwrap_or("");
        let append = name.ends_with('+');
        name = name.strip_suffix('+').unwrap_or(name);
        let length = identifier(name.as_bytes());
        let name = name.get(..length).unwrap_or(name).to_owned();
        let mut value = word.finish();
        value.text.drain(..(equals + 1).min(value.text.len()));
        self.scan.env.set(&name, &value, append);
        if let Some(frame) = self.stack.last_mut() {
            frame.assigns.push((name, value));
        }
    }

    /// Whether the word is a keyword, which then has had its effect.
    fn keyword(&mut self, text: &str) -> bool {
        let at = self.at;
        if let Some(frame) = self.stack.last_mut()
            && frame.group.is_some()
            && !matches!(text, "}" | "fi" | "done" | "esac" | "then" | "do")
        {
            // A new command behind a closed one, with no separator: odd, but goes on.
            frame.group = None;
        }
        let opens = |lexer: &mut Self, kind: Kind, header: Header| {
            if lexer.may_open() {
                lexer.open(kind, at);
                if let Some(frame) = lexer.stack.last_mut() {
                    frame.header = header;
                }
            }
        };
        match text {
            "if" => opens(self, Kind::If, Header::None),
            "while" | "until" => opens(self, Kind::Loop, Header::None),
            "for" | "select" => opens(self, Kind::Loop, Header::For),
            "case" => opens(self, Kind::Case(Case::Commands), Header::CaseWord),
            "{" => opens(self, Kind::Brace, Header::None),
            "function" => {
                if let Some(frame) = self.stack.last_mut() {
                    frame.header = Header::Function;
                }
            }
            "then" | "else" | "elif" | "do" | "!" | "coproc" => {}
            "fi" => self.close_compound(|kind| *kind == Kind::If),
            "done" => self.close_compound(|kind| *kind == Kind::Loop),
            "esac" => self.close_compound(|kind| matches!(kind, Kind::Case(_))),
            "}" => self.close_compound(|kind| *kind == Kind::Brace),
            _ => return false,
        }
        if let Some(frame) = self.stack.last_mut() {
            frame.offset = None;
        }
        true
    }

    /// Close the innermost compound command of a kind, and what was left open in it.
    pub(super) fn close_compound(&mut self, wanted: fn(&Kind) -> bool) {
        let levels = self.stack.iter().rev().take_while(|frame| frame.is_compound());
        let Some(count) = levels.map(|frame| wanted(&frame.kind)).position(|found| found) else { return };
        for _ in 0..=count {
            self.close_top();
        }
    }

    /// The command under construction is complete; gives the commands of this element of a pipeline.
    pub(super) fn end_command(&mut self, piped: bool) -> Option<Span> {
        self.end_word();
        let unit = self.unit;
        let place = self.place;
        let frame = self.stack.last_mut()?;
        frame.testing = false;
        frame.redirect = None;
        let words = std::mem::take(&mut frame.words);
        let assigns = std::mem::take(&mut frame.assigns);
        let redirects = std::mem::take(&mut frame.redirects);
        let offset = frame.offset.take().unwrap_or(self.at);
        let group = frame.group.take();
        let disguised = std::mem::take(&mut frame.disguised);
        match std::mem::replace(&mut frame.header, Header::None) {
            Header::For => {
                if let Some((name, items)) = words.split_first() {
                    let items = items.get(1..).unwrap_or_default();
                    if !items.is_empty() {
                        self.scan.env.set_items(&name.text, items, false);
                    }
                }
                // Kept as an assignment: what the loop variable takes, and where that comes from.
                let mut words = words.into_iter();
                let name = words.next()?;
                let mut value = Word::default();
                for word in words.skip(1) {
                    if !value.text.is_empty() {
                        value.text.push(' ');
                    }
                    value.text.push_str(&word.text);
                    value.dynamic |= word.dynamic;
                    if let Some(from) = word.from {
                        let into = value.from.get_or_insert_default();
                        into.subs.extend(from.subs);
                        into.vars.extend(from.vars);
                    }
                }
                let assigns = vec![(name.text, value)];
                self.scan.push(Command {
                    assigns,
                    unit,
                    offset: place.unwrap_or(offset as u32),
                    ..Command::default()
                });
                return None;
            }
            Header::None => {}
            _ if words.is_empty() => return None,
            _ => {}
        }
        let in_pattern = frame.kind == Kind::Case(Case::Pattern);
        if in_pattern {
            return None;
        }
        if words.is_empty() && assigns.is_empty() {
            if let Some(span) = group {
                if !redirects.is_empty() {
                    self.scan.inherit(span, &redirects, MAX_INHERITED);
                }
                if piped {
                    self.scan.mark_piped(span);
                }
                frame.pipe = None;
                return Some(span);
            }
            if redirects.is_empty() {
                return None;
            }
        }
        let stdin = frame.pipe.take().or(frame.inherited);
        let command = Command {
            words,
            assigns,
            redirects,
            stdin,
            piped,
            disguised,
            unit,
            offset: place.unwrap_or(offset as u32),
            ..Command::default()
        };
        self.scan.push(command).map(Span::one)
    }

    /// A redirection and its target.
    fn redirect_to(&mut self, op: RedirectOp, fd: u8, word: WordBuf) {
        if op == RedirectOp::HereDocument {
            return self.here_document(fd, word);
        }
        let op = match op {
            RedirectOp::Duplicate
                if word.text == "-" || word.text.trim_end_matches('-').parse::<u8>().is_ok() =>
            {
                op
            }
            // `>& file`
            RedirectOp::Duplicate if fd == 1 => RedirectOp::Both,
            op => op,
        };
        if let Some(frame) = self.stack.last_mut() {
            frame.redirects.push(Redirect { op, fd, target: word.finish() });
        }
    }
}

/// `a{b,c}d`: the words it stands for, one level.
fn braces(word: &WordBuf) -> Option<Vec<String>> {
    let (before, rest) = word.text.split_once('{')?;
    let (inside, after) = rest.rsplit_once('}')?;
    if !inside.contains(',') || inside.contains(['{', '}']) || word.quoted {
        return None;
    }
    Some(inside.split(',').take(MAX_ALTERNATIVES).map(|choice| format!("{before}{choice}{after}")).collect())
}
