//! [`Answer`]: whatever can answer a request. A closure, a tower service (an axum `Router`), a
//! hyper service.
//!
//! There are three kinds, and a type may in principle be of several; so each kind is its own trait,
//! `Answer<Kind>`, and the compiler finds the one that fits. Nobody writes the kind down.
#![forbid(unsafe_code)]

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ::hyper::body::{Body, Incoming};
use ::hyper::service::Service;
use ::hyper::{Request, Response};
use pin_project_lite::pin_project;

use super::RequestBody;

/// What [`serve`](super::serve()) takes as an error.
///
/// ```
/// let error: net::hyper::BoxError = "the database is gone".into();
/// assert_eq!(error.to_string(), "the database is gone");
/// ```
///
/// **Go:** `error`.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Answers requests: `async` closures and functions from `Request<Incoming>` to
/// `Result<Response<_>, _>`; tower services, among them axum's `Router`; hyper services. It is
/// implemented for all of these and not meant to be implemented by hand.
///
/// Each connection has a clone. An error ends its connection without an answer; to answer with a
/// status, make a response of it.
///
/// ```
/// use hyper::body::Incoming;
/// use hyper::{Request, Response};
/// use net::hyper::{Answer, BoxError};
///
/// async fn hello(_: Request<Incoming>) -> Result<Response<String>, BoxError> {
///     Ok(Response::new("hello".to_owned()))
/// }
///
/// fn answers<Kind>(_: impl Answer<Kind>) {}
/// answers(hello); // a function
/// answers(hyper::service::service_fn(hello)); // a service of hyper's
/// ```
///
/// **Go:** `http.Handler`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot answer HTTP requests",
    note = "a handler is a closure or function `Fn(Request<Incoming>) -> impl Future<Output = Result<Response<B>, E>>`, \
            a tower service of `Request<RequestBody>` such as axum's `Router`, or a hyper service of `Request<Incoming>`; \
            it has to be `Clone + Send + 'static`"
)]
pub trait Answer<Kind>: Clone + Send + 'static {
    /// The body of its responses.
    type Body: Body<Data: Send, Error: Into<BoxError>> + Send + 'static;
    /// Why it cannot answer.
    type Error: Into<BoxError>;
    /// A response on its way.
    type Answering: Future<Output = Result<Response<Self::Body>, Self::Error>> + Send + 'static;

    /// Begins to answer.
    fn answer(&self, request: Request<RequestBody>) -> Self::Answering;
}

/// The kind of closures and functions.
///
/// ```
/// # use hyper::{Request, Response, body::Incoming};
/// # use net::hyper::{Answer, BoxError};
/// async fn hello(_: Request<Incoming>) -> Result<Response<String>, BoxError> {
///     Ok(Response::new("hello".to_owned()))
/// }
/// fn function(_: impl Answer<net::hyper::Function>) {}
/// function(hello);
/// ```
///
/// **Go:** `http.HandlerFunc`.
#[derive(Debug)]
pub enum Function {}

/// The kind of tower's services, of requests with a [`RequestBody`]: those that are generic over
/// the body, and those that name it. (One that is written for [`Incoming`] takes
/// [`into_inner`](RequestBody::into_inner) in a layer.)
///
/// ```
/// # use net::hyper::Answer;
/// // As axum's `Router` does.
/// fn mount(service: impl Answer<net::hyper::Tower>) {
///     # let _ = service;
/// }
/// ```
///
/// **Go:** `http.Handler`, as routers have it.
#[derive(Debug)]
pub enum Tower {}

/// The kind of hyper's services.
///
/// ```
/// # use hyper::{Request, Response, body::Incoming};
/// # use net::hyper::{Answer, BoxError};
/// # async fn hello(_: Request<Incoming>) -> Result<Response<String>, BoxError> { unreachable!() }
/// fn service(_: impl Answer<net::hyper::Hyper>) {}
/// service(hyper::service::service_fn(hello));
/// ```
///
/// **Go:** `http.Handler`.
#[derive(Debug)]
pub enum Hyper {}

impl<F, R, B, E> Answer<Function> for F
where
    F: Fn(Request<Incoming>) -> R + Clone + Send + 'static,
    R: Future<Output = Result<Response<B>, E>> + Send + 'static,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    E: Into<BoxError>,
{
    type Body = B;
    type Error = E;
    type Answering = R;

    fn answer(&self, request: Request<RequestBody>) -> R {
        self(request.map(RequestBody::into_inner))
    }
}

impl<S, B> Answer<Hyper> for S
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    type Body = B;
    type Error = S::Error;
    type Answering = S::Future;

    fn answer(&self, request: Request<RequestBody>) -> S::Future {
        self.call(request.map(RequestBody::into_inner))
    }
}

impl<S, B> Answer<Tower> for S
where
    S: tower_service::Service<Request<RequestBody>, Response = Response<B>>
        + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    type Body = B;
    type Error = S::Error;
    type Answering = Ask<S>;

    fn answer(&self, request: Request<RequestBody>) -> Ask<S> {
        Ask {
            state: Asking::Waiting {
                service: self.clone(),
                request: Some(request),
            },
        }
    }
}

pin_project! {
    /// A request to a tower service: waits until the service is ready for it, then calls it.
    ///
    /// ```
    /// # use net::hyper::{Answer, Ask, RequestBody, Tower};
    /// # use hyper::Request;
    /// fn ask<S>(service: &S, request: Request<RequestBody>) -> Ask<S>
    /// where
    ///     S: Answer<Tower, Answering = Ask<S>> + tower_service::Service<Request<RequestBody>>,
    /// {
    ///     service.answer(request)
    /// }
    /// ```
    ///
    /// **Go:** none; a goroutine calls the handler.
    #[derive(Debug)]
    pub struct Ask<S>
    where
        S: tower_service::Service<Request<RequestBody>>,
    {
        #[pin]
        state: Asking<S, S::Future>,
    }
}

pin_project! {
    #[project = AskingNow]
    #[derive(Debug)]
    enum Asking<S, F> {
        // The request is there until the service is ready.
        Waiting { service: S, request: Option<Request<RequestBody>> },
        Called { #[pin] response: F },
    }
}

impl<S> Future for Ask<S>
where
    S: tower_service::Service<Request<RequestBody>>,
{
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let response = match state.as_mut().project() {
                AskingNow::Called { response } => return response.poll(cx),
                AskingNow::Waiting { service, request } => {
                    ready!(service.poll_ready(cx))?;
                    let request = request.take();
                    service.call(request.expect("a service is called once"))
                }
            };
            state.set(Asking::Called { response });
        }
    }
}
