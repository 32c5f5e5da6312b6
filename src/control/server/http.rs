//! Metrics and health over HTTP, for Prometheus and for those who watch services.
//!
//! A page in a browser reaches every address of the machine, also the loopback one, and so does
//! every user of it. So nothing here names a session, a directory or a program; a page gets
//! nothing, whatever the address; and an address that is no loopback one needs a token.

mod rules;

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use self::rules::{Refused, Token, check};
use super::methods::Context;
use crate::api::Counts;
use crate::control::AFTER_FAILURE;

/// The most connections at once.
const MOST_CONNECTIONS: usize = 16;

/// The time for the head of a request, and for a whole connection: it has one request.
const LONGEST_HEAD: Duration = Duration::from_secs(10);
const LONGEST_CONNECTION: Duration = Duration::from_secs(30);

/// The time for which the text of the measures is given again.
const KEPT: Duration = Duration::from_secs(1);

/// The time between two tries to have an address that is in use.
const BETWEEN_TRIES: Duration = Duration::from_secs(1);

/// The most bytes of the head of a request.
const HEAD: usize = 8 << 10;

/// The media type of the text format of Prometheus.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A listener for HTTP, and what it asks of those who come.
#[derive(Debug)]
pub struct HttpDoor {
    address: SocketAddr,
    /// `None`: another process has the address, which may be the daemon before this one.
    listener: Option<StdTcpListener>,
    token: Option<Token>,
}

impl HttpDoor {
    /// Listens at an address, or waits until it is free. The token is read from this file.
    ///
    /// # Errors
    /// If the address cannot be had, or the file not be used.
    pub fn open(address: SocketAddr, token: Option<&Path>) -> io::Result<HttpDoor> {
        let token = token.map(Token::read).transpose()?;
        let listener = match StdTcpListener::bind(address) {
            Ok(listener) => {
                listener.set_nonblocking(true)?;
                Some(listener)
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                tracing::info!("metrics: {address} is in use; it is tried again each second");
                None
            }
            Err(error) => return Err(error),
        };
        Ok(HttpDoor { address, listener, token })
    }

    /// The listener, as soon as the address can be had.
    async fn listener(&mut self) -> io::Result<TcpListener> {
        let listener = match self.listener.take() {
            Some(listener) => TcpListener::from_std(listener)?,
            None => loop {
                tokio::time::sleep(BETWEEN_TRIES).await;
                match TcpListener::bind(self.address).await {
                    Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                    bound => break bound?,
                }
            },
        };
        tracing::info!("metrics are served at http://{}/metrics", listener.local_addr()?);
        Ok(listener)
    }
}

/// Takes connections until the bridge ends.
pub(super) async fn keep(mut door: HttpDoor, context: Context, mut end: watch::Receiver<()>) {
    let listener = tokio::select! {
        _ = end.changed() => return,
        listener = door.listener() => listener,
    };
    let listener = match listener {
        Ok(listener) => listener,
        Err(error) => return tracing::warn!("there are no metrics at {}: {error}", door.address),
    };
    if let Ok(address) = listener.local_addr() {
        let _ = context.http.set(address);
    }
    let service = Arc::new(Service { context, token: door.token, kept: Mutex::default() });
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = end.changed() => return,
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match (accepted, places.clone().try_acquire_owned()) {
            (Ok((stream, _)), Ok(place)) => {
                let service = service.clone();
                connections.spawn(async move {
                    // One that is not read any more must not keep its place.
                    let _ = timeout(LONGEST_CONNECTION, service.serve(stream)).await;
                    drop(place);
                });
            }
            // The connection is closed at once.
            (Ok(_), Err(_)) => tracing::debug!("too many connections for metrics"),
            (Err(error), _) => {
                tracing::warn!("a connection for metrics cannot be taken: {error}");
                tokio::time::sleep(AFTER_FAILURE).await;
            }
        }
    }
}

struct Service {
    context: Context,
    token: Option<Token>,
    /// The text of the measures, and when it was made.
    kept: Mutex<Option<(Instant, String)>>,
}

impl Service {
    async fn serve(&self, stream: TcpStream) {
        let answered = service_fn(async |request| Ok::<_, Infallible>(self.answer(&request).await));
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .keep_alive(false)
            .header_read_timeout(LONGEST_HEAD)
            .max_buf_size(HEAD)
            .serve_connection(TokioIo::new(stream), answered)
            .await;
        if let Err(error) = served {
            tracing::debug!("a connection for metrics has ended: {error}");
        }
    }

    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if let Err(refused) = check(request, self.token.as_ref()) {
            tracing::debug!("a request for metrics was refused: {}", refused.why());
            return refusal(&refused);
        }
        let is_deep = request
            .uri()
            .query()
            .is_some_and(|query| query.split('&').any(|part| part == "deep=1"));
        match request.uri().path() {
            "/metrics" => self.measures().await,
            "/health" => self.health(is_deep).await,
            _ => text(StatusCode::NOT_FOUND, "There are /metrics and /health.\n".to_owned()),
        }
    }

    /// The measures. However many ask, the process table is read once a second.
    async fn measures(&self) -> Response<Full<Bytes>> {
        let mut kept = self.kept.lock().await;
        if let Some((at, text)) = &*kept
            && at.elapsed() < KEPT
        {
            return response(StatusCode::OK, METRICS, text.clone());
        }
        match self.context.measures().await {
            Ok(text) => {
                *kept = Some((Instant::now(), text.clone()));
                response(StatusCode::OK, METRICS, text)
            }
            Err(error) => unavailable(error.message()),
        }
    }

    async fn health(&self, is_deep: bool) -> Response<Full<Bytes>> {
        #[derive(Serialize)]
        struct Said {
            status: &'static str,
            #[serde(flatten)]
            counts: Option<Counts>,
        }
        let health = match self.context.health().await {
            Ok(health) => health,
            Err(error) => return unavailable(error.message()),
        };
        let (code, status) = match health.is_draining {
            false => (StatusCode::OK, "ok"),
            true => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
        };
        let said = Said { status, counts: is_deep.then_some(health.counts) };
        response(code, "application/json", serde_json::to_string(&said).unwrap_or_default() + "\n")
    }
}

fn refusal(refused: &Refused) -> Response<Full<Bytes>> {
    let mut response = text(refused.status(), format!("{}\n", refused.why()));
    if let Some((name, value)) = refused.header() {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn unavailable(why: &str) -> Response<Full<Bytes>> {
    text(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n"))
}

fn text(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    response(status, "text/plain; charset=utf-8", text)
}

fn response(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
    set(CONTENT_TYPE, kind);
    set(CACHE_CONTROL, "no-store");
    // No page may hold the answer, not even one that it cannot read.
    set("cross-origin-resource-policy".parse().unwrap_or(CACHE_CONTROL), "same-origin");
    response
}
