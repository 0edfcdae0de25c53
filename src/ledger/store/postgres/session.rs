//! One connection: made, asked, and closed where no answer comes.

use std::{
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    time::Duration,
};

use futures::TryStreamExt;
use secrecy::ExposeSecret;
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{error::Elapsed, timeout},
};
use tokio_postgres::{
    Client, Config, NoTls, Row,
    config::{ChannelBinding, SslMode},
    tls::TlsConnect,
    types::{ToSql, Type},
};

use super::{database::Host, fault::fault, settings::Settings, tls::Encrypt};
use crate::{
    display::Shown,
    ledger::store::StoreFault::{self, Passing},
};

/// What a statement is given, with its type, so that nothing need be prepared.
pub(super) type Given<'g> = &'g [(&'g (dyn ToSql + Sync), Type)];

type Driver = Pin<Box<dyn Future<Output = Result<(), tokio_postgres::Error>> + Send>>;

/// A connection. What drives it is polled only while something is asked: nobody else owns it.
pub(super) struct Session {
    client: Client,
    driver: Driver,
    user: String,
    /// It ended while something was asked, instead of being too slow.
    pub(super) broke: bool,
}

fn no_answer(_: Elapsed) -> StoreFault {
    Passing("no answer within the time limit".to_owned())
}

fn no_connection(error: &io::Error) -> StoreFault {
    Passing(format!("no connection: {}", Shown(&error.to_string())))
}

impl Session {
    /// Connects, in so much time.
    pub(super) async fn open(settings: &Settings, within: Duration) -> Result<Self, StoreFault> {
        timeout(within, Self::connect(settings))
            .await
            .map_err(|_elapsed| Passing("no connection within the time limit".to_owned()))?
    }

    async fn connect(settings: &Settings) -> Result<Self, StoreFault> {
        let mut config = Config::new();
        config.user(&settings.user).dbname(&settings.database).application_name(&settings.application);
        config.channel_binding(ChannelBinding::Disable);
        if let Some(password) = &settings.password {
            config.password(password.expose_secret());
        }
        let name = match &settings.host {
            #[cfg(unix)]
            Host::Socket(folder) => {
                let path = folder.join(format!(".s.PGSQL.{}", settings.port));
                let stream = tokio::net::UnixStream::connect(path).await.map_err(|error| no_connection(&error))?;
                config.ssl_mode(SslMode::Disable);
                return Self::begin(&config, stream, NoTls, settings).await;
            }
            #[cfg(not(unix))]
            Host::Socket(_) => return Err(StoreFault::Unusable("there are no such sockets on this system".to_owned())),
            Host::Name(name) => name,
        };
        let stream = TcpStream::connect((name.as_str(), settings.port)).await.map_err(|error| no_connection(&error))?;
        set(&stream).map_err(|error| no_connection(&error))?;
        match &settings.tls {
            None => {
                config.ssl_mode(SslMode::Disable);
                Self::begin(&config, stream, NoTls, settings).await
            }
            Some(roots) => {
                config.ssl_mode(SslMode::Require);
                Self::begin(&config, stream, Encrypt::new(roots, name)?, settings).await
            }
        }
    }

    async fn begin<S, T>(config: &Config, stream: S, tls: T, settings: &Settings) -> Result<Self, StoreFault>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        T: TlsConnect<S>,
        T::Stream: Send + 'static,
    {
        let (client, connection) =
            config.connect_raw(stream, tls).await.map_err(|error| fault(&error, &settings.user))?;
        Ok(Self { client, driver: Box::pin(connection), user: settings.user.clone(), broke: false })
    }

    /// Whether the server has closed it while nothing was asked: whatever is asked now had no effect yet.
    pub(super) async fn is_closed(&mut self) -> bool {
        let driver = &mut self.driver;
        poll_fn(|context| std::task::Poll::Ready(driver.as_mut().poll(context).is_ready())).await
    }

    /// All rows of a statement, each of them within so much time after the one before.
    pub(super) async fn ask(
        &mut self,
        statement: &str,
        given: Given<'_>,
        within: Duration,
    ) -> Result<Vec<Row>, StoreFault> {
        let Self { client, driver, user, broke } = self;
        let mut rows = Vec::new();
        let asked = async {
            let given = given.iter().map(|(value, kind)| (*value, kind.clone()));
            let stream = timeout(within, client.query_typed_raw(statement, given)).await.map_err(no_answer)?;
            let mut stream = pin!(stream.map_err(|error| fault(&error, user))?);
            loop {
                let next = timeout(within, stream.try_next()).await.map_err(no_answer)?;
                match next.map_err(|error| fault(&error, user))? {
                    Some(row) => rows.push(row),
                    None => return Ok(()),
                }
            }
        };
        driven(driver, asked, user, broke).await?;
        Ok(rows)
    }

    /// Statements that are none of one's own making in any part.
    pub(super) async fn carry_out(&mut self, statements: &str, within: Duration) -> Result<(), StoreFault> {
        let Self { client, driver, user, broke } = self;
        let asked = async {
            let done = timeout(within, client.batch_execute(statements)).await.map_err(no_answer)?;
            done.map_err(|error| fault(&error, user))
        };
        driven(driver, asked, user, broke).await
    }
}

/// Waits for an answer while the connection is driven.
async fn driven<T>(
    driver: &mut Driver,
    asked: impl Future<Output = Result<T, StoreFault>>,
    user: &str,
    broke: &mut bool,
) -> Result<T, StoreFault> {
    let mut asked = pin!(asked);
    tokio::select! {
        // What came before the end counts.
        biased;
        answer = &mut asked => answer,
        end = driver => match futures::FutureExt::now_or_never(asked) {
            Some(Err(told @ StoreFault::Unusable(_))) => Err(told),
            Some(Ok(answer)) => Ok(answer),
            _ => {
                *broke = true;
                Err(match end {
                    Err(error) => fault(&error, user),
                    Ok(()) => Passing("the server closed the connection".to_owned()),
                })
            }
        },
    }
}

/// A peer that is gone is noticed: nothing sent stays unacknowledged for long, and silence is asked about.
fn set(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new().with_time(Duration::from_secs(10)).with_interval(Duration::from_secs(5));
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    socket.set_tcp_user_timeout(Some(Duration::from_secs(8)))?;
    Ok(())
}
