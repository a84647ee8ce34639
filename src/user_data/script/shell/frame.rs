//! What is open at a point of the text.

use super::super::{Expansions, Redirect, RedirectOp, Span, SubKind, Word};

#[derive(Debug, PartialEq)]
pub(super) enum Kind {
    Top,
    /// `( ... )`
    Paren,
    Substitution(SubKind),
    Backtick,
    /// `{ ...; }`
    Brace,
    If,
    Loop,
    Case(Case),
    /// `((...))`, or `$((...))` with `value`; `depth` counts the parentheses inside.
    Arithmetic {
        depth: u32,
        value: bool,
    },
    /// `${name...}` of the named variable.
    Parameter(String),
    /// `name=( ... )`; the flag is set for `+=`.
    Array(String),
    /// The text of a here-document.
    Body,
}

/// Where in `case WORD in PATTERN) COMMANDS ;; esac`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Case {
    Pattern,
    Commands,
}

/// A header whose words are no command.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Header {
    None,
    /// `for NAME in WORDS`
    For,
    /// `case WORD in`
    CaseWord,
    /// `function NAME`
    Function,
}

#[derive(Debug)]
pub(super) struct Frame {
    pub kind: Kind,
    pub opened: usize,
    /// First command inside.
    pub start: u32,
    pub header: Header,
    /// The command being collected, and where it starts.
    pub words: Vec<Word>,
    pub assigns: Vec<(String, Word)>,
    pub redirects: Vec<Redirect>,
    pub offset: Option<usize>,
    pub word: Option<WordBuf>,
    /// A redirection that waits for its target.
    pub redirect: Option<(RedirectOp, u8)>,
    /// Inside `"..."`, opened there.
    pub double_quoted: Option<usize>,
    /// The command's name was put together by splitting a value or by braces.
    pub disguised: bool,
    /// Inside `[[ ... ]]`.
    pub testing: bool,
    /// What is piped into the next command.
    pub pipe: Option<Span>,
    /// What is piped into the compound command this is.
    pub inherited: Option<Span>,
    /// The compound command that just ended.
    pub group: Option<Span>,
    /// The function whose body comes next.
    pub function: Option<String>,
    /// The function whose body this is.
    pub body_of: Option<String>,
}

impl Frame {
    pub fn new(kind: Kind, opened: usize, start: u32) -> Frame {
        Frame {
            kind,
            opened,
            start,
            header: Header::None,
            words: Vec::new(),
            assigns: Vec::new(),
            redirects: Vec::new(),
            offset: None,
            word: None,
            redirect: None,
            double_quoted: None,
            disguised: false,
            testing: false,
            pipe: None,
            inherited: None,
            group: None,
            function: None,
            body_of: None,
        }
    }

    /// Whether expansions in here are not split into words.
    pub fn quotes(&self) -> bool {
        self.double_quoted.is_some() || matches!(self.kind, Kind::Body | Kind::Parameter(_))
    }

    /// Whether the next word names a command.
    pub fn at_command(&self) -> bool {
        self.words.is_empty() && self.header == Header::None && self.redirect.is_none()
    }

    /// `{`, `if`, `while`, `case`: closed by a word, not by a character.
    pub fn is_compound(&self) -> bool {
        matches!(self.kind, Kind::Brace | Kind::If | Kind::Loop | Kind::Case(_))
    }
}

/// A word being put together.
#[derive(Debug, Default)]
pub(super) struct WordBuf {
    pub text: String,
    pub start: usize,
    pub quoted: bool,
    pub dynamic: bool,
    /// Something was expanded in it.
    pub expanded: bool,
    /// A piece that is quoted, escaped or expanded begins behind others, or others follow it.
    pub pieced: bool,
    /// The text is one piece so far, which was more than a backslash at the start.
    pub piece: bool,
    /// Unquoted characters that mean something at its end.
    pub brace: bool,
    pub comma: bool,
    pub glob: bool,
    /// Where in `text` the `=` of an assignment stands.
    pub equals: Option<usize>,
    pub from: Option<Box<Expansions>>,
}

impl WordBuf {
    pub fn expansions(&mut self) -> &mut Expansions {
        self.from.get_or_insert_default()
    }
    /// A piece begins that is not plain text.
    pub fn begin_piece(&mut self) {
        self.pieced |= !self.text.is_empty() || self.piece;
        self.piece = true;
    }
    /// Nothing quoted, nothing expanded: may be a keyword.
    pub fn bare(&self) -> bool {
        !self.quoted && !self.expanded
    }
    pub fn finish(self) -> Word {
        Word {
            text: self.text,
            quoted: self.quoted,
            expanded: self.expanded,
            dynamic: self.dynamic,
            pieced: self.pieced,
            from: self.from,
        }
    }
}
