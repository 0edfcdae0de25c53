//! What a message carries, with the look at the lease that is made right before its first byte leaves.
//!
//! A look before the call would not do: the name, the connection and the encryption come after it, and take as long as
//! they like. The HTTP stack (`hyper`, `proto::h1::dispatch`) takes a request from its queue once the connection stands and
//! is idle, asks its body for its length, encodes the head into a buffer of its own, asks the body for its first bytes, and
//! only then writes, all in one go: a body that fails ends the connection with the buffer unwritten. A body that is known to
//! be empty is asked for its length alone; so one that must not leave says that its length is unknown, which makes the
//! stack ask for its bytes after all. Tests hold both, head and body, with connections new and used.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use hyper::body::{Body, Bytes, Frame, SizeHint};

use crate::lease::Lease;

/// The session has not been heard of by its ledger for too long.
#[derive(Debug, thiserror::Error)]
#[error("this process was suspended, and its ledger may have gone to another run")]
pub(super) struct Suspended;

/// The body of a message.
#[derive(Debug)]
pub(super) struct Watched {
    /// Taken once it leaves.
    bytes: Bytes,
    lease: Option<Lease>,
}

impl Watched {
    /// A body that leaves whole, if the lease (where there is one) is fresh by then.
    pub(super) fn new(bytes: impl Into<Bytes>, lease: Option<Lease>) -> Self {
        Self { bytes: bytes.into(), lease }
    }

    /// Whether it may leave now.
    fn may_leave(&self) -> bool {
        self.lease.as_ref().is_none_or(Lease::is_fresh)
    }

    /// One whose first look it was to ask for its length, and which may not leave.
    fn is_held_back(&self) -> bool {
        self.bytes.is_empty() && !self.may_leave()
    }
}

impl Body for Watched {
    type Data = Bytes;
    type Error = Suspended;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Suspended>>> {
        let bytes = std::mem::take(&mut self.bytes);
        Poll::Ready(if bytes.is_empty() || !self.may_leave() {
            // An empty one is asked only where it was held back. That the lease was renewed since is no reason to let out a
            // request whose head says something else.
            Some(Err(Suspended))
        } else {
            Some(Ok(Frame::data(bytes)))
        })
    }

    /// Never by itself, or nobody would ask.
    fn is_end_stream(&self) -> bool {
        false
    }

    fn size_hint(&self) -> SizeHint {
        if self.is_held_back() {
            return SizeHint::default();
        }
        SizeHint::with_exact(u64::try_from(self.bytes.len()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::{TcpListener, TcpStream},
        sync::{
            Arc, Mutex,
            atomic::{AtomicI64, Ordering},
            mpsc,
        },
        thread::JoinHandle,
        time::Duration,
    };

    use reqwest::Method;
    use rustls::{
        ServerConfig, ServerConnection, StreamOwned,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    };

    use super::*;
    use crate::{
        portal::{Access, Effect, Fault, Portal},
        secret::Secret,
        user::UserId,
    };

    const ACCEPTED: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n\
        {\"count\":0,\"links\":[],\"status\":0,\"statusCode\":200}";

    /// What arrived, a connection each, in the order in which they ended.
    type Arrived = Arc<Mutex<Vec<Vec<u8>>>>;

    /// A session's lease, and the clock by which it ends.
    fn lease() -> (Lease, Arc<AtomicI64>) {
        let clock = Arc::new(AtomicI64::new(0));
        let lease = Lease::fixed(Duration::from_secs(30), Arc::clone(&clock));
        lease.renew(0);
        (lease, clock)
    }

    fn portal(address: &str, ca_file: Option<std::path::PathBuf>, lease: Lease) -> Portal {
        let access = Access {
            address: address.parse().expect("an address"),
            key: Secret::new("key", "sk-0123456789abcdef".to_owned()).expect("a key"),
            timeout: Duration::from_secs(20),
            ca_file,
            proxy: None,
        };
        Portal::new(access).expect("a portal").guarded_by(lease)
    }

    /// Answers every whole request of one connection with what the portal says when it accepts; what arrived.
    fn converse(mut stream: impl Read + Write) -> Vec<u8> {
        let (mut all, mut answered) = (Vec::new(), 0);
        let mut piece = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut piece) {
            all.extend(piece.iter().take(count));
            let Some(request) = all.get(answered..) else { break };
            let Some(head) = request.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
            let text = String::from_utf8_lossy(request).to_lowercase();
            let length = text.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next()?.parse().ok());
            if request.len() >= head + 4 + length.unwrap_or(0) {
                answered = all.len();
                stream.write_all(ACCEPTED).expect("written");
            }
        }
        all
    }

    /// A server of so many connections, one after the other.
    fn serve(
        connections: usize,
        mut with: impl FnMut(TcpStream) -> Vec<u8> + Send + 'static,
    ) -> (u16, Arrived, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let arrived = Arrived::default();
        let seen = Arc::clone(&arrived);
        let thread = std::thread::spawn(move || {
            for _ in 0..connections {
                let (stream, _) = listener.accept().expect("a connection");
                let all = with(stream);
                seen.lock().expect("no panic").push(all);
            }
        });
        (port, arrived, thread)
    }

    /// The three ways in which a message leaves.
    #[derive(Debug, Clone, Copy)]
    enum Message {
        Congratulation,
        Invitation,
        Again,
    }

    const MESSAGES: [Message; 3] = [Message::Congratulation, Message::Invitation, Message::Again];

    async fn send(portal: &Portal, message: Message) -> Result<(), Fault> {
        let json = r#"{"invitations":[]}"#.to_owned();
        match message {
            Message::Congratulation => portal.congratulate(UserId::from_bytes([7; 16]), "key").await,
            Message::Invitation => portal.submit(Method::POST, "/api/2.0/people/invite", json).await,
            Message::Again => portal.submit(Method::PUT, "/api/2.0/people/invite", json).await,
        }
    }

    /// What ends with it ends its connections, so that the server comes to its end.
    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
    }

    fn assert_not_sent(result: Result<(), Fault>) {
        let Err(fault) = result else { panic!("it was sent") };
        let Fault::NotSent { why, for_good: false } = &fault else { panic!("{fault:?}") };
        assert_eq!(why, "this process was suspended, and its ledger may have gone to another run");
        assert_eq!(fault.effect(), Effect::NoneYet);
    }

    /// A message on a new connection, which the server sees opened, and closed without a byte.
    #[test]
    fn not_a_byte_leaves_on_a_new_connection() {
        for message in MESSAGES {
            let (lease, clock) = lease();
            let (port, arrived, server) = serve(2, converse);
            let runtime = runtime();
            let portal = portal(&format!("http://127.0.0.1:{port}"), None, lease.clone());
            clock.store(30_001, Ordering::SeqCst);
            assert_not_sent(runtime.block_on(send(&portal, message)));
            // As the job does it: another intent, whose append renews the lease.
            lease.renew(30_001);
            runtime.block_on(send(&portal, message)).expect("accepted");
            drop((portal, runtime));
            server.join().expect("no panic");
            let arrived = arrived.lock().expect("no panic");
            let [first, second] = arrived.as_slice() else { panic!("{arrived:?}") };
            assert_eq!(String::from_utf8_lossy(first), "", "{message:?}");
            assert!(second.starts_with(b"P"), "{message:?}");
        }
    }

    /// A message on a connection that has carried one before.
    #[test]
    fn not_a_byte_leaves_on_a_used_connection() {
        for message in MESSAGES {
            let (lease, clock) = lease();
            let (port, arrived, server) = serve(2, converse);
            let runtime = runtime();
            let portal = portal(&format!("http://127.0.0.1:{port}"), None, lease.clone());
            for _ in 0..2 {
                runtime.block_on(send(&portal, message)).expect("accepted");
            }
            clock.store(30_001, Ordering::SeqCst);
            assert_not_sent(runtime.block_on(send(&portal, message)));
            lease.renew(30_001);
            runtime.block_on(send(&portal, message)).expect("accepted");
            drop((portal, runtime));
            server.join().expect("no panic");
            let arrived = arrived.lock().expect("no panic");
            let requests = |all: &[u8]| String::from_utf8_lossy(all).matches(" HTTP/1.1\r\n").count();
            // Two went over the first connection, none began to, and one went over another.
            assert_eq!(arrived.iter().map(|all| requests(all)).collect::<Vec<_>>(), [2, 1], "{message:?}");
            let [first, _] = arrived.as_slice() else { panic!("{arrived:?}") };
            let (one, other) = first.split_at(first.len() / 2);
            assert_eq!(one, other, "{message:?}: no more than two whole requests");
        }
    }

    /// The process sleeps while the connection is being encrypted: the look comes after that.
    #[test]
    fn not_a_byte_leaves_when_the_lease_ends_while_the_connection_is_made() {
        crate::portal::install_crypto();
        let key = rcgen::KeyPair::generate().expect("a key");
        let certificate = rcgen::CertificateParams::new(["localhost".to_owned()]).expect("names");
        let certificate = certificate.self_signed(&key).expect("a certificate");
        let folder = tempfile::tempdir().expect("a folder");
        let ca_file = folder.path().join("ca.pem");
        std::fs::write(&ca_file, certificate.pem()).expect("written");
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder().with_no_client_auth();
        let config = Arc::new(config.with_single_cert(vec![certificate.der().clone()], key).expect("a certificate"));
        for message in MESSAGES {
            for sleeps in [false, true] {
                let (lease, clock) = lease();
                let (began, begun) = mpsc::channel();
                let config = Arc::clone(&config);
                let (port, arrived, server) = serve(1, move |mut stream| {
                    // The client has spoken first: its connection stands, and is not encrypted yet.
                    stream.peek(&mut [0]).expect("a hello");
                    began.send(()).expect("told");
                    if sleeps {
                        clock.store(30_001, Ordering::SeqCst);
                    }
                    let mut connection = ServerConnection::new(Arc::clone(&config)).expect("a connection");
                    while connection.is_handshaking() {
                        connection.complete_io(&mut stream).expect("a handshake");
                    }
                    converse(StreamOwned::new(connection, stream))
                });
                let runtime = runtime();
                let portal = portal(&format!("https://localhost:{port}"), Some(ca_file.clone()), lease);
                let result = runtime.block_on(send(&portal, message));
                begun.recv().expect("the connection was made");
                drop((portal, runtime));
                server.join().expect("no panic");
                let arrived = arrived.lock().expect("no panic").concat();
                if sleeps {
                    assert_not_sent(result);
                    assert_eq!(String::from_utf8_lossy(&arrived), "", "{message:?}");
                } else {
                    result.expect("accepted");
                    assert!(arrived.starts_with(b"P"), "{message:?}");
                }
            }
        }
    }

    /// Nothing of this may be seen where the ledger is a file, nor while the lease is fresh.
    #[test]
    fn a_message_that_may_leave_looks_as_it_always_did() {
        let (lease, _) = lease();
        let (port, arrived, server) = serve(1, converse);
        let runtime = runtime();
        let portal = portal(&format!("http://127.0.0.1:{port}"), None, lease);
        runtime.block_on(send(&portal, Message::Congratulation)).expect("accepted");
        runtime.block_on(send(&portal, Message::Invitation)).expect("accepted");
        drop((portal, runtime));
        server.join().expect("no panic");
        let all = String::from_utf8(arrived.lock().expect("no panic").concat()).expect("text").to_lowercase();
        assert_eq!(all.matches("content-length: 0\r\n").count(), 1, "{all}");
        assert_eq!(all.matches("content-length: 18\r\n").count(), 1, "{all}");
        assert!(!all.contains("chunked") && all.ends_with(r#"{"invitations":[]}"#), "{all}");
    }
}
