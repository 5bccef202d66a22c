//! Where calls may go: what an endpoint override may look like.

use std::net::{Ipv4Addr, Ipv6Addr};

use http::Uri;

/// Checks an endpoint override before anything is signed for it: `https`, or `http` to this machine
/// (127.0.0.0/8, `::1`, `localhost`), or `http` anywhere with `allow_insecure`; no user info, no query.
///
/// # Errors
/// The rule that the URL breaks and what to do, as one line. It repeats the URL only when the URL
/// cannot hold a password.
pub fn check_endpoint(url: &str, allow_insecure: bool) -> Result<(), String> {
    // An authority is whatever comes before the first slash, so this sees user info in URLs that do not parse too.
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest).split(['/', '?', '#']).next();
    if authority.is_some_and(|authority| authority.contains('@')) {
        return Err(
            "an endpoint URL must not hold a user name or password; credentials come from the AWS configuration"
                .to_owned(),
        );
    }
    let uri: Uri = url.parse().map_err(|error| format!("endpoint {url:?} is not a URL: {error}"))?;
    let (Some(scheme), Some(host)) = (uri.scheme_str(), uri.host()) else {
        return Err(format!("endpoint {url:?} is not a whole URL; want https://host[:port]"));
    };
    if host.is_empty() {
        return Err(format!("endpoint {url:?} names no host; want https://host[:port]"));
    }
    if uri.query().is_some() || url.contains('#') {
        return Err(format!("endpoint {url:?} must not have a query or a fragment"));
    }
    match scheme {
        "https" => Ok(()),
        "http" if allow_insecure || is_loopback(host) => Ok(()),
        "http" => Err(format!(
            "endpoint {url:?} is plain http to another machine; use https, or allow it with --allow-insecure-endpoints"
        )),
        other => Err(format!("endpoint {url:?} has the scheme {other:?}; want https")),
    }
}

/// Whether `host`, as it stands in a URL, is this machine for certain. Other spellings of such an address
/// (`127.1`, `0x7f000001`) are refused: what they mean is up to the resolver.
fn is_loopback(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback());
    }
    host.eq_ignore_ascii_case("localhost") || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_and_loopback_are_accepted() {
        for url in [
            "https://sqs.eu-central-1.amazonaws.com",
            "https://vpce-1.sqs.eu-central-1.vpce.amazonaws.com:8443/",
            "http://127.0.0.1:4566",
            "http://127.8.9.10",
            "http://[::1]:4566",
            "http://localhost:4566/path",
            "http://LocalHost",
        ] {
            assert_eq!(check_endpoint(url, false), Ok(()), "{url}");
        }
    }

    #[test]
    fn plain_http_to_elsewhere_needs_permission() {
        for url in [
            "http://sqs.internal:4566",
            "http://10.0.0.1",
            "http://128.0.0.1",
            "http://[::2]",
            "http://[::ffff:127.0.0.1]",
            "http://127.1",
            "http://0x7f000001",
            "http://localhost.example.com",
            "http://127.0.0.1.example.com",
        ] {
            let refusal = check_endpoint(url, false).unwrap_err();
            assert!(refusal.contains("--allow-insecure-endpoints"), "{url}: {refusal}");
            assert_eq!(check_endpoint(url, true), Ok(()), "{url}");
        }
    }

    #[test]
    fn what_is_no_endpoint_is_refused_whatever_is_allowed() {
        for (url, want) in [
            ("", "not a"),
            ("localhost:4566", "not a"),
            ("127.0.0.1", "not a whole URL"),
            ("/path", "not a whole URL"),
            ("ftp://127.0.0.1", "scheme"),
            ("https://", "not a URL"),
            ("https://a b", "not a URL"),
            ("https://host/?a=b", "query"),
            ("https://host/#a", "fragment"),
        ] {
            for allow in [false, true] {
                let refusal = check_endpoint(url, allow).unwrap_err();
                assert!(refusal.contains(want), "{url}: {refusal}");
            }
        }
    }

    #[test]
    fn user_info_is_refused_and_never_repeated() {
        for url in [
            "https://me:secret@sqs.example.com",
            "http://127.0.0.1@evil.example.com",
            "me:secret@host",
            "https://me:se cret@host",
        ] {
            let refusal = check_endpoint(url, true).unwrap_err();
            assert!(refusal.contains("user name or password") && !refusal.contains("cret"), "{url}: {refusal}");
        }
    }
}
