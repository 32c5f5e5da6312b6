//! The kinds of values that are addresses.

use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::kinds::{Bare, Face, ValueKind};

/// The address of a TCP listener, or `off`.
pub(super) struct ListenAddress;

impl ValueKind for ListenAddress {
    type Value = Option<SocketAddr>;

    fn read(&self, text: &OsStr) -> Result<Option<SocketAddr>, String> {
        let text = text.to_str().unwrap_or_default();
        if text == "off" {
            return Ok(None);
        }
        let of_localhost = |text: &str| {
            let port = text.strip_prefix("localhost:")?.parse().ok()?;
            Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))
        };
        let address = text.parse().ok().or_else(|| of_localhost(text));
        address.map(Some).ok_or_else(|| {
            "give an IP address and a port, such as 127.0.0.1:9464 or [::1]:9464, or off".to_owned()
        })
    }

    fn write(&self, value: &Option<SocketAddr>) -> String {
        value.map_or_else(|| "off".to_owned(), |address| address.to_string())
    }

    fn face(&self) -> Face {
        Face { value_name: "ADDRESS", bare: Bare::Nothing, words: Vec::new() }
    }
}

/// The address of a collector of OpenTelemetry, or `off`.
#[cfg(feature = "otel")]
pub(super) struct Collector;

#[cfg(feature = "otel")]
impl ValueKind for Collector {
    type Value = Option<String>;

    fn read(&self, text: &OsStr) -> Result<Option<String>, String> {
        match text.to_str() {
            Some("off") => Ok(None),
            Some(url) if url.strip_prefix("http://").is_some_and(|rest| !rest.is_empty()) => {
                Ok(Some(url.to_owned()))
            }
            _ => Err("give an address such as http://127.0.0.1:4318, or off".to_owned()),
        }
    }

    fn write(&self, value: &Option<String>) -> String {
        value.clone().unwrap_or_else(|| "off".to_owned())
    }

    fn face(&self) -> Face {
        Face { value_name: "URL", bare: Bare::Nothing, words: Vec::new() }
    }
}
