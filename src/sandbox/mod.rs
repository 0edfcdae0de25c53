//! The embedded portal, with a mail server beside it: a real HTTP server on loopback that behaves as `docspace-contract.md` says, byte shapes
//! included. It serves demonstrations and is the test double of the whole suite; it counts what it saw.
//!
//! It shares no encoding with the client: two readings of the contract check each other.

mod faults;
mod limits;
mod mail;
mod people;
mod post;
mod routes;
mod state;

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use rand::{RngExt, rngs::StdRng};
use tokio::{net::TcpListener, sync::oneshot};

use self::state::{State, hex, lock};
pub use self::{
    faults::{Class, Fault},
    limits::Limits,
    people::{User, keys_of, users_of},
    post::{Mail, MailConfig, MailFault},
    state::{Config, Stats},
};
use crate::user::UserId;

/// An embedded portal, serving until dropped.
#[derive(Debug)]
pub struct Sandbox {
    address: SocketAddr,
    mail_address: SocketAddr,
    api_key: String,
    token: String,
    state: Arc<Mutex<State>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Sandbox {
    /// Starts serving, on a thread of its own.
    pub fn start(config: Config) -> io::Result<Self> {
        let mut random = rand::make_rng::<StdRng>();
        let api_key = config.api_key.clone().unwrap_or_else(|| format!("sk-{}", hex(&random.random::<[u8; 32]>())));
        let token = hex(&random.random::<[u8; 24]>());
        let (listener, address) = listen(config.port)?;
        let (mail_listener, mail_address) = listen(config.mail.port)?;
        let state = Arc::new(Mutex::new(State::new(config, address, api_key.clone(), token.clone())));
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&state);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("sandbox".to_owned()).spawn(move || {
            let local = tokio::task::LocalSet::new();
            local.block_on(&runtime, serve(listener, mail_listener, served, stopped));
        })?;
        Ok(Self { address, mail_address, api_key, token, state, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its origin, as a portal's address.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its mail server.
    pub fn mail_server(&self) -> String {
        format!("smtp://{}", self.mail_address)
    }

    /// The mails that came and are kept, the oldest first.
    pub fn mails(&self) -> Vec<Mail> {
        lock(&self.state).post.mails()
    }

    /// The API key.
    pub fn api_key(&self) -> &str {
        &self.api_key
    }

    /// The token, as the login call gives it.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// What it saw so far.
    pub fn stats(&self) -> Stats {
        lock(&self.state).stats()
    }

    /// Changes a user while it serves; `false` where there is no such user.
    pub fn change_user(&self, id: UserId, change: impl FnOnce(&mut User)) -> bool {
        lock(&self.state).people.change(id, change)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // If it is gone already there is nothing to stop.
            let _gone = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

fn listen(port: u16) -> io::Result<(std::net::TcpListener, SocketAddr)> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", port))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

async fn serve(
    listener: std::net::TcpListener,
    mail_listener: std::net::TcpListener,
    state: Arc<Mutex<State>>,
    stopped: oneshot::Receiver<()>,
) {
    let (Ok(listener), Ok(mail_listener)) = (TcpListener::from_std(listener), TcpListener::from_std(mail_listener))
    else {
        return;
    };
    let mails = Arc::clone(&state);
    let accept_mail = async {
        loop {
            let Ok((stream, _)) = mail_listener.accept().await else { continue };
            tokio::task::spawn_local(mail::serve(stream, Arc::clone(&mails)));
        }
    };
    let accept = async {
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            // Without it small answers wait for the client's acknowledgement.
            if stream.set_nodelay(true).is_err() {
                continue;
            }
            let state = Arc::clone(&state);
            tokio::task::spawn_local(async move {
                let service = service_fn(move |request| routes::answer(Arc::clone(&state), request));
                // A connection that the client breaks, or that a fault drops, is its own business.
                let _ended = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    };
    tokio::select! {
        () = accept => {}
        () = accept_mail => {}
        _ = stopped => {}
    }
}
