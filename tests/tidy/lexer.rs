//! Rust's words and signs, as far as paths need them: without comments, strings
//! and lifetimes.

/// A word, `::`, or a single sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Whether it is this word or sign.
    pub fn is(&self, text: &str) -> bool {
        self.0 == text
    }

    /// The name or keyword, if it is one.
    pub fn word(&self) -> Option<&str> {
        self.0.starts_with(is_word).then_some(self.0.as_str())
    }
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// All of a text.
pub fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            _ if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            _ if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '"' => quoted(rest),
            '\'' => letter_or_lifetime(rest),
            _ if is_word(first) => {
                let length = rest.find(|letter| !is_word(letter)).unwrap_or(rest.len());
                let (word, behind) = rest.split_at(length);
                let is_raw = behind.trim_start_matches('#').starts_with('"');
                match word {
                    "r" | "br" | "cr" if is_raw => length + raw(behind),
                    // The string or letter behind it is next.
                    "b" | "c" if behind.starts_with(['"', '\'']) => length,
                    _ => {
                        found.push(Token(word.to_owned()));
                        length
                    }
                }
            }
            _ if first.is_whitespace() => first.len_utf8(),
            _ => {
                let length = if rest.starts_with("::") { 2 } else { first.len_utf8() };
                found.push(Token(rest[..length].to_owned()));
                length
            }
        };
        rest = &rest[length..];
    }
    found
}

/// The length of a string with escapes.
fn quoted(text: &str) -> usize {
    let mut letters = text.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => drop(letters.next()),
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of a raw string, from its hashes on.
fn raw(text: &str) -> usize {
    let hashes = text.len() - text.trim_start_matches('#').len();
    let end = format!("\"{}", "#".repeat(hashes));
    let start = hashes + 1;
    text.get(start..)
        .and_then(|rest| rest.find(&end))
        .map_or(text.len(), |at| start + at + end.len())
}

/// The length of `'a'`, `'\n'` or `'static`.
fn letter_or_lifetime(text: &str) -> usize {
    let mut letters = text.char_indices().skip(1);
    match (letters.next(), letters.next()) {
        (Some((_, '\\')), Some((at, escaped))) => {
            let behind = at + escaped.len_utf8();
            text[behind..].find('\'').map_or(text.len(), |end| behind + end + 1)
        }
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 1 + text[1..].find(|letter| !is_word(letter)).unwrap_or(text.len() - 1),
    }
}
