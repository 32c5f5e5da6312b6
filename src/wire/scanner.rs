//! A JSON scanner that checks the grammar (RFC 8259) and remembers places.
//!
//! It allocates nothing and builds nothing: a value is a [`Span`] of the text. Strings
//! are most of a text: they are passed over many bytes at a time (`string_ends.rs`), and
//! looked into only where something is escaped. A text may be nested to any depth: an open
//! bracket costs one bit, and nothing here calls itself.
//!
//! Written by hand, because a frame must keep its bytes: the JSON libraries build values
//! and do not say where in the text a member lies.

use super::span::Span;
use super::string::{quoted, text};
use super::string_ends::StringEnds;

/// The text is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotJson;

type Scan<T> = Result<T, NotJson>;

/// The brackets that are open around a place.
#[derive(Clone, Debug, Default)]
pub(super) struct Nesting {
    depth: usize,
    /// One bit for each of the innermost brackets: set for an object, clear for an array;
    /// the innermost is the lowest.
    objects: u128,
    /// The bits of the brackets around those, [`Nesting::WORD`] in each word.
    outer: Vec<u128>,
}

impl Nesting {
    const WORD: usize = u128::BITS as usize;

    #[inline]
    fn enter(&mut self, is_object: bool) {
        if self.depth > 0 && self.depth.is_multiple_of(Self::WORD) {
            self.outer.push(self.objects);
        }
        self.depth += 1;
        self.objects = self.objects << 1 | u128::from(is_object);
    }

    #[inline]
    fn leave(&mut self) {
        self.depth -= 1;
        self.objects >>= 1;
        if self.depth > 0 && self.depth.is_multiple_of(Self::WORD) {
            self.objects = self.outer.pop().unwrap_or_default();
        }
    }

    fn in_object(&self) -> bool {
        self.objects & 1 == 1
    }
}

/// The receiver of what a scanner finds. A depth is the number of brackets around a
/// place.
pub(super) trait Visitor {
    /// An object or an array that is not empty begins; its own bracket counts in the
    /// depth.
    fn opened(&mut self, _depth: usize, _is_object: bool) {}
    /// A member of the object at this depth: its key without needless escapes, quotes
    /// included, and where its value begins.
    fn key(&mut self, _depth: usize, _key: &[u8], _value_at: usize) {}
    /// A value that is a string begins here.
    fn string(&mut self, _nesting: &Nesting, _at: usize) {}
    /// A value ended before `at`; this many brackets are open around it.
    fn ended(&mut self, _depth: usize, _at: usize) {}
}

/// A visitor that ignores everything.
struct Unwatched;

impl Visitor for Unwatched {}

/// Walks over one JSON text.
pub struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    ends: StringEnds,
    /// Whether the string consumed last, such as a key, holds an escape.
    escaped: bool,
}

impl<'a> Scanner<'a> {
    /// Starts at the beginning of `text`, which must be UTF-8 and shorter than 4 GiB.
    pub fn new(text: &'a [u8]) -> Self {
        Scanner::starting(text, 0)
    }

    /// Starts at a value inside `text`.
    pub fn at(text: &'a [u8], place: Span) -> Self {
        Scanner::starting(text, place.start())
    }

    /// Starts at this offset.
    pub(super) fn starting(text: &'a [u8], at: usize) -> Self {
        Scanner { text, at, ends: StringEnds::default(), escaped: false }
    }

    /// The next byte that is not white space, not consumed.
    #[inline]
    pub fn peek(&mut self) -> Option<u8> {
        match self.text.get(self.at) {
            Some(&byte) if byte > b' ' => Some(byte),
            _ => self.peek_behind_space(),
        }
    }

    /// Kept apart so that the common case, no white space, is small enough to inline.
    #[inline(never)]
    fn peek_behind_space(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.text.get(self.at) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    /// Walks over the members of the object that comes next: `member` is called
    /// behind each colon, with the key's place (quotes included), and must
    /// consume the value.
    ///
    /// # Errors
    /// [`NotJson`] if what comes next is not a well-formed object.
    #[inline]
    pub fn object(&mut self, mut member: impl FnMut(&mut Self, Span) -> Scan<()>) -> Scan<Span> {
        self.list(b'{', b'}', |scanner| {
            let key = scanner.string()?;
            scanner.expect(b':')?;
            member(scanner, key)
        })
    }

    /// Walks over the elements of the array that comes next.
    ///
    /// # Errors
    /// [`NotJson`] if what comes next is not a well-formed array.
    pub fn array(&mut self, element: impl FnMut(&mut Self) -> Scan<()>) -> Scan<Span> {
        self.list(b'[', b']', element)
    }

    #[inline]
    fn list(
        &mut self,
        open: u8,
        close: u8,
        mut item: impl FnMut(&mut Self) -> Scan<()>,
    ) -> Scan<Span> {
        self.peek();
        let start = self.at;
        self.expect(open)?;
        if self.peek() == Some(close) {
            self.at += 1;
            return Ok(Span::new(start, self.at));
        }
        loop {
            item(self)?;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(byte) if byte == close => {
                    self.at += 1;
                    return Ok(Span::new(start, self.at));
                }
                _ => return Err(NotJson),
            }
        }
    }

    /// Consumes one value of any kind.
    ///
    /// # Errors
    /// [`NotJson`] if there is none.
    #[inline]
    pub fn value(&mut self) -> Scan<Span> {
        if self.peek() == Some(b'"') {
            return self.string_here();
        }
        let start = self.at;
        self.tree(&mut Nesting::default(), &mut Unwatched)?;
        Ok(Span::new(start, self.at))
    }

    /// Consumes one value with all that is in it, or the rest of a value whose beginning
    /// was consumed: then an inner value starts here, with `nesting` around it.
    pub(super) fn tree(&mut self, nesting: &mut Nesting, watch: &mut impl Visitor) -> Scan<()> {
        loop {
            // A value starts here.
            match self.peek().ok_or(NotJson)? {
                open @ (b'{' | b'[') => {
                    self.at += 1;
                    let is_object = open == b'{';
                    let close = if is_object { b'}' } else { b']' };
                    if self.peek() == Some(close) {
                        self.at += 1;
                    } else {
                        nesting.enter(is_object);
                        watch.opened(nesting.depth, is_object);
                        if is_object {
                            self.key(nesting, watch)?;
                        }
                        continue;
                    }
                }
                b'"' => {
                    watch.string(nesting, self.at);
                    self.string_here()?;
                }
                b't' => self.word(b"true")?,
                b'f' => self.word(b"false")?,
                b'n' => self.word(b"null")?,
                _ => self.number()?,
            }
            // A value ended here: go on in what is open around it.
            loop {
                watch.ended(nesting.depth, self.at);
                if nesting.depth == 0 {
                    return Ok(());
                }
                let in_object = nesting.in_object();
                match self.peek().ok_or(NotJson)? {
                    b',' => {
                        self.at += 1;
                        if in_object {
                            self.key(nesting, watch)?;
                        }
                        break;
                    }
                    b'}' if in_object => {}
                    b']' if !in_object => {}
                    _ => return Err(NotJson),
                }
                self.at += 1;
                nesting.leave();
            }
        }
    }

    /// Checks that only white space is left.
    ///
    /// # Errors
    /// [`NotJson`] if there is more.
    pub fn end(&mut self) -> Scan<()> {
        if self.peek().is_none() { Ok(()) } else { Err(NotJson) }
    }

    #[inline]
    fn key(&mut self, nesting: &Nesting, watch: &mut impl Visitor) -> Scan<()> {
        let key = self.string()?;
        let is_escaped = self.escaped;
        self.expect(b':')?;
        self.peek();
        // A key with half a surrogate pair in it (`\ud800`) has no text: the visitor gets
        // it as it is spelled, and it names no member that the bridge knows.
        match is_escaped.then(|| text(self.text, key)).flatten() {
            Some(name) => watch.key(nesting.depth, quoted(&name).as_bytes(), self.at),
            None => watch.key(nesting.depth, key.of(self.text), self.at),
        }
        Ok(())
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Scan<()> {
        if self.peek() == Some(byte) {
            self.at += 1;
            Ok(())
        } else {
            Err(NotJson)
        }
    }

    fn word(&mut self, word: &[u8]) -> Scan<()> {
        if self.text[self.at..].starts_with(word) {
            self.at += word.len();
            Ok(())
        } else {
            Err(NotJson)
        }
    }

    /// Consumes a string; the place includes its quotes.
    #[inline]
    fn string(&mut self) -> Scan<Span> {
        if self.peek() == Some(b'"') { self.string_here() } else { Err(NotJson) }
    }

    /// Consumes a string whose first quote is here.
    #[inline]
    fn string_here(&mut self) -> Scan<Span> {
        let start = self.at;
        self.at = self.ends.next(self.text, start + 1);
        self.escaped = false;
        if self.text.get(self.at) != Some(&b'"') {
            self.rest_of_string()?;
        }
        self.at += 1;
        Ok(Span::new(start, self.at))
    }

    /// Goes on to the quote that ends a string, from its first backslash or control
    /// character. Kept apart because most strings hold no escapes.
    #[inline(never)]
    fn rest_of_string(&mut self) -> Scan<()> {
        self.escaped = true;
        loop {
            match self.text.get(self.at) {
                Some(b'"') => return Ok(()),
                Some(b'\\') => self.escape()?,
                _ => return Err(NotJson),
            }
            self.at = self.ends.next(self.text, self.at);
        }
    }

    /// Consumes a backslash and what it escapes.
    #[inline]
    fn escape(&mut self) -> Scan<()> {
        match self.text.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                let digits = self.text.get(self.at + 2..self.at + 6).ok_or(NotJson)?;
                if !digits.iter().all(u8::is_ascii_hexdigit) {
                    return Err(NotJson);
                }
                self.at += 6;
            }
            _ => return Err(NotJson),
        }
        Ok(())
    }

    fn number(&mut self) -> Scan<()> {
        if self.text.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        match self.text.get(self.at) {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ => return Err(NotJson),
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.text.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.text.get(self.at) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Scan<()> {
        let count = self.text[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        if count == 0 { Err(NotJson) } else { Ok(()) }
    }
}
