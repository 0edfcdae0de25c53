//! What a proxy says that will not let a connection through. The HTTP stack keeps only that it would not; so the proxy is
//! asked once more, on a connection of its own that carries nothing but the question.

use std::time::Duration;

use reqwest::header::HeaderValue;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::Fault;
use crate::{
    display::Shown,
    origin::{PortalAddress, ProxyAddress},
};

/// The longest that this may take: it only finds words.
const ASKED_FOR: Duration = Duration::from_secs(5);
/// The longest first line of an answer that is read.
const MAX_LINE: u64 = 1024;

/// Why the proxy lets nothing through, if it says so now.
pub(super) async fn refusal(
    proxy: &ProxyAddress,
    authorization: Option<&HeaderValue>,
    portal: &PortalAddress,
) -> Option<Fault> {
    if !proxy.is_plain() {
        return None;
    }
    let not_sent = |why: String, for_good| Some(Fault::NotSent { why: format!("the proxy {proxy} {why}"), for_good });
    match timeout(ASKED_FOR, TcpStream::connect(proxy.place())).await {
        Err(_too_long) => not_sent("does not answer".to_owned(), false),
        Ok(Err(error)) => not_sent(format!("cannot be reached: {error}"), false),
        Ok(Ok(stream)) => match timeout(ASKED_FOR, first_line(stream, authorization, portal)).await {
            Ok(Ok(line)) => told(&line, portal).and_then(|(why, for_good)| not_sent(why, for_good)),
            Ok(Err(_)) | Err(_) => not_sent("does not answer".to_owned(), false),
        },
    }
}

async fn first_line(
    mut stream: TcpStream,
    authorization: Option<&HeaderValue>,
    portal: &PortalAddress,
) -> std::io::Result<String> {
    let (host, port) = (portal.host(), portal.port());
    let mut question = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n").into_bytes();
    if let Some(authorization) = authorization {
        question.extend([b"Proxy-Authorization: ", authorization.as_bytes(), b"\r\n"].concat());
    }
    question.extend(b"\r\n");
    stream.write_all(&question).await?;
    let mut answer = Vec::new();
    let mut stream = stream.take(MAX_LINE);
    while !answer.contains(&b'\n') && stream.read_buf(&mut answer).await? > 0 {}
    let line = answer.split(|byte| *byte == b'\n').next().unwrap_or_default();
    Ok(String::from_utf8_lossy(line).trim().to_owned())
}

/// What the first line of its answer means, and whether trying again cannot help.
fn told(line: &str, portal: &PortalAddress) -> Option<(String, bool)> {
    let place = format!("{}:{}", portal.host(), portal.port());
    let status = line.strip_prefix("HTTP/").and_then(|rest| rest.split(' ').nth(1)).and_then(|code| code.parse().ok());
    let hint = match status {
        Some(200..=299) => return None,
        Some(407) => {
            ": it wants a user and a password, which stand in its address, as in http://USER:PASSWORD@HOST:PORT"
        }
        Some(400..=406) => ": its rules do not allow this address",
        Some(502..=504) => ": it cannot reach the portal",
        Some(_) => "",
        None => return Some(("answers, but not as a proxy does".to_owned(), true)),
    };
    let shown = line.split_once(' ').map_or(line, |(_version, rest)| rest);
    let for_good = status.is_some_and(|status: u16| (400..500).contains(&status) && !matches!(status, 408 | 425 | 429));
    Some((format!("does not let a connection to {place} through ({}){hint}", Shown(shown)), for_good))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_with_its_status() {
        let portal: PortalAddress = "https://portal.example.com".parse().expect("an address");
        for (line, says, for_good) in [
            ("HTTP/1.1 407 Proxy Authentication Required", "(407 Proxy Authentication Required): it wants", true),
            ("HTTP/1.0 403 Forbidden", "to portal.example.com:443 through (403 Forbidden): its rules", true),
            ("HTTP/1.1 503", "(503): it cannot reach", false),
            ("HTTP/1.1 429 Slow\u{1b}[1m", "(429 Slow\\u{1b}[1m)", false),
            ("HTTP/1.1 302 Found", "(302 Found)", false),
            ("SSH-2.0-OpenSSH_9", "not as a proxy does", true),
            ("", "not as a proxy does", true),
        ] {
            let (text, good) = told(line, &portal).expect(line);
            assert!(text.contains(says), "{line}: {text}");
            assert_eq!(good, for_good, "{line}");
        }
        assert_eq!(told("HTTP/1.1 200 Connection established", &portal), None);
    }
}
