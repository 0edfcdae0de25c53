//! Encryption by rustls under the library's connection.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use rustls::{ClientConfig, pki_types::ServerName};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};

use super::settings::Roots;
use crate::{
    display::{Shown, shown_path},
    ledger::store::StoreFault::{self, Unusable},
    trust,
};

/// What makes a stream an encrypted one, with a server that has proved to be this host.
pub(super) struct Encrypt {
    config: Arc<ClientConfig>,
    host: ServerName<'static>,
}

impl Encrypt {
    pub(super) fn new(roots: &Roots, host: &str) -> Result<Self, StoreFault> {
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|_name| Unusable(format!("`{}` is no name of a host", Shown(host))))?;
        let config = match roots {
            Roots::System => trust::besides_system(Vec::new()),
            Roots::File(path) => trust::alone(trust::certificates(path).map_err(|why| {
                Unusable(format!("cannot use the certificate authority in {} (sslrootcert): {why}", shown_path(path)))
            })?),
        };
        let config =
            config.map_err(|error| Unusable(trust::no_setup(&error, "sslrootcert=FILE (PEM) or in SSL_CERT_FILE")))?;
        Ok(Self { config: Arc::new(config), host: name })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> TlsConnect<S> for Encrypt {
    type Stream = Encrypted<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Encrypted<S>>>>>;

    fn connect(self, stream: S) -> Self::Future {
        let handshake = tokio_rustls::TlsConnector::from(self.config).connect(self.host, stream);
        Box::pin(async { Ok(Encrypted(Box::new(handshake.await?))) })
    }
}

/// An encrypted stream.
pub(super) struct Encrypted<S>(Box<tokio_rustls::client::TlsStream<S>>);

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Encrypted<S> {
    fn channel_binding(&self) -> ChannelBinding {
        // The server has proved who it is by its certificate.
        ChannelBinding::none()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Encrypted<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, into)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Encrypted<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
