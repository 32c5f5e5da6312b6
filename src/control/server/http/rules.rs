//! Whom an HTTP request is answered.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::net::IpAddr;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use hyper::header::{ALLOW, AUTHORIZATION, HOST, HeaderName, ORIGIN, WWW_AUTHENTICATE};
use hyper::http::uri::Authority;
use hyper::{Method, Request, StatusCode};
use nix::fcntl::OFlag;

use crate::user_files::distrust;

/// The permission of others to read a file.
const OTHERS: u32 = 0o004;

/// The longest token, in bytes.
const LONGEST_TOKEN: u64 = 4096;

/// The header by which a browser says where a request comes from.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The word that a client must know.
pub(super) struct Token(Vec<u8>);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

impl Token {
    /// Reads it from a file, without the white space around it.
    pub(super) fn read(path: &Path) -> io::Result<Token> {
        let wrong = |why: &str| io::Error::other(format!("{}: {why}", path.display()));
        // A pipe without a writer must not hold the start.
        let opened =
            OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path);
        let file = opened.map_err(|error| wrong(&error.to_string()))?;
        let metadata = file.metadata()?;
        match distrust(&metadata) {
            Some(why) => return Err(wrong(why)),
            None if !metadata.is_file() => return Err(wrong("it is no regular file")),
            None if metadata.mode() & OTHERS != 0 => {
                tracing::warn!("other users may read the token in {}", path.display());
            }
            None => {}
        }
        let mut text = Vec::new();
        file.take(LONGEST_TOKEN + 1).read_to_end(&mut text)?;
        if text.len() as u64 > LONGEST_TOKEN {
            return Err(wrong("a token has at most 4096 bytes"));
        }
        let token = text.trim_ascii();
        match token.is_empty() || !token.iter().all(u8::is_ascii_graphic) {
            true => Err(wrong("a token is one word of visible ASCII characters")),
            false => Ok(Token(token.to_vec())),
        }
    }

    /// Whether these are the credentials of a client, in a time that does not depend on them.
    fn is_in(&self, credentials: &[u8]) -> bool {
        let Some((scheme, word)) = credentials.split_at_checked(7) else { return false };
        let differs = self.0.iter().zip(word).fold(0, |sum, (own, other)| sum | (own ^ other));
        scheme.eq_ignore_ascii_case(b"Bearer ") && word.len() == self.0.len() && differs == 0
    }
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Method,
    /// A page that has made its own name lead here would be answered otherwise.
    Host,
    /// It comes from a page.
    Page,
    Token,
}

impl Refused {
    pub(super) const fn status(self) -> StatusCode {
        match self {
            Refused::Method => StatusCode::METHOD_NOT_ALLOWED,
            Refused::Host | Refused::Page => StatusCode::FORBIDDEN,
            Refused::Token => StatusCode::UNAUTHORIZED,
        }
    }

    pub(super) const fn why(self) -> &'static str {
        match self {
            Refused::Method => "Only GET and HEAD are served.",
            Refused::Host => "The Host must be an IP address or localhost.",
            Refused::Page => "Pages of other sites are not answered.",
            Refused::Token => {
                "Send the token of --metrics-token-file: Authorization: Bearer TOKEN."
            }
        }
    }

    /// The header that goes with it.
    pub(super) const fn header(self) -> Option<(HeaderName, &'static str)> {
        match self {
            Refused::Method => Some((ALLOW, "GET, HEAD")),
            Refused::Token => Some((WWW_AUTHENTICATE, "Bearer")),
            Refused::Host | Refused::Page => None,
        }
    }
}

/// Checks whether a request is answered.
pub(super) fn check<B>(request: &Request<B>, token: Option<&Token>) -> Result<(), Refused> {
    let headers = request.headers();
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        return Err(Refused::Method);
    }
    // A name can be made to lead to any address; an address is what it is.
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    let is_own = host.is_some_and(|host| is_address(host.host())) && hosts.next().is_none();
    if !is_own || request.uri().host().is_some_and(|host| !is_address(host)) {
        return Err(Refused::Host);
    }
    // A browser sends one of the two with every request of a page of another site, at least to a
    // loopback address; at another one the token keeps pages away.
    let is_of_other_site = headers
        .get(SEC_FETCH_SITE)
        .is_some_and(|site| !["none", "same-origin"].iter().any(|own| site == own));
    if headers.contains_key(ORIGIN) || is_of_other_site {
        return Err(Refused::Page);
    }
    let credentials = headers.get(AUTHORIZATION).map(|value| value.as_bytes());
    match token {
        Some(token) if !credentials.is_some_and(|value| token.is_in(value)) => Err(Refused::Token),
        _ => Ok(()),
    }
}

fn is_address(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(headers: &[(&str, &str)], token: Option<&str>) -> Result<(), Refused> {
        let request =
            headers.iter().fold(Request::builder().uri("/metrics"), |request, (name, value)| {
                request.header(*name, *value)
            });
        let token = token.map(|word| Token(word.as_bytes().to_vec()));
        check(&request.body(()).expect("a request"), token.as_ref())
    }

    #[test]
    fn only_an_address_is_a_host() {
        for host in
            ["127.0.0.1", "127.0.0.1:9464", "[::1]:9464", "localhost:1", "LOCALHOST", "10.0.0.7"]
        {
            assert_eq!(checked(&[("host", host)], None), Ok(()), "{host}");
        }
        for host in
            ["evil.example", "127.0.0.1.evil.example", "localhost.evil", "", "a b", "127.0.0.1, x"]
        {
            assert_eq!(checked(&[("host", host)], None), Err(Refused::Host), "{host}");
        }
        assert_eq!(checked(&[], None), Err(Refused::Host));
        let two = [("host", "127.0.0.1"), ("host", "evil.example")];
        assert_eq!(checked(&two, None), Err(Refused::Host));
    }

    #[test]
    fn no_page_of_another_site_is_answered() {
        let host = ("host", "127.0.0.1:9464");
        for header in [
            ("origin", "http://evil.example"),
            ("origin", "null"),
            ("origin", "http://127.0.0.1:9464"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            assert_eq!(checked(&[host, header], None), Err(Refused::Page), "{header:?}");
        }
        // An address that a person has typed.
        assert_eq!(checked(&[host, ("sec-fetch-site", "none")], None), Ok(()));
    }

    #[test]
    fn a_token_must_be_known_whole() {
        let host = ("host", "127.0.0.1");
        let sent = |value| checked(&[host, ("authorization", value)], Some("abc"));
        assert_eq!(sent("Bearer abc"), Ok(()));
        assert_eq!(sent("bearer abc"), Ok(()));
        for wrong in ["Bearer ab", "Bearer abcd", "Bearer ", "Basic abc", "abc", "", "Bearer abd"] {
            assert_eq!(sent(wrong), Err(Refused::Token), "{wrong}");
        }
        assert_eq!(checked(&[host], Some("abc")), Err(Refused::Token));
        let page = [host, ("origin", "http://evil.example"), ("authorization", "Bearer abc")];
        assert_eq!(checked(&page, Some("abc")), Err(Refused::Page));
    }
}
