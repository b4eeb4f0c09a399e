//! gRPC-Web: gRPC for callers that cannot read the trailers of HTTP, which are all browsers.
//!
//! Messages stay as they are; the trailers become the last frame of the body, and in the text form all of it is base64 (PROTOCOL-WEB.md of
//! gRPC). It is not `tonic-web` 0.14, which gives a longer answer the `content-length` of the shorter one, loses the status of an answer
//! that breaks off, knows four content types by their exact letters, refuses padding within a text, and answers a text in binary unless
//! `accept` is that one type.

mod answer;
mod text;

use answer::Answer;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Version, header};
use text::Text;
use tonic::body::Body;

use super::Spoken;

/// What every content type of gRPC-Web begins with.
const PREFIX: &str = "application/grpc-web";
/// Headers of an HTTP/1.1 connection or of the form of a body, which have no meaning for a call.
const OF_HTTP: [HeaderName; 7] = [
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::HOST,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// How bodies are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As they are.
    Binary,
    /// In base64.
    Text,
}

/// What a caller of gRPC-Web speaks.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Dialect {
    asks: Form,
    hears: Form,
    /// The format of messages with its sign, such as `+proto`; empty when the caller does not say.
    format: String,
}

impl Dialect {
    /// What a request is spoken in, if it is a call of gRPC-Web.
    pub(super) fn of<B>(request: &Request<B>) -> Option<Self> {
        if request.method() != Method::POST {
            return None;
        }
        let content_type = request.headers().get(header::CONTENT_TYPE)?.to_str().ok()?;
        let (asks, format) = form(content_type)?;
        Some(Dialect { asks, hears: accepted(request.headers()).unwrap_or(asks), format })
    }

    /// The call that a request makes.
    pub(super) fn call(&self, mut request: Request<Body>) -> Request<Body> {
        let content_type = format!("application/grpc{}", self.format);
        let content_type = HeaderValue::from_str(&content_type).expect("it is a part of a header value");
        let headers = request.headers_mut();
        OF_HTTP.iter().for_each(|name| drop(headers.remove(name)));
        headers.insert(header::CONTENT_TYPE, content_type);
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        *request.version_mut() = Version::HTTP_2;
        request.extensions_mut().insert(Spoken("grpc-web"));
        match self.asks {
            Form::Binary => request,
            Form::Text => request.map(|body| Body::new(Text::new(body))),
        }
    }

    /// The answer that the caller can read.
    pub(super) fn answer(&self, response: Response<Body>) -> Response<Body> {
        let is_told = response.headers().contains_key("grpc-status");
        let mut response = response.map(|body| Body::new(Answer::new(body, self.hears, is_told)));
        let text = match self.hears {
            Form::Binary => "",
            Form::Text => "-text",
        };
        let format = if self.format.is_empty() { "+proto" } else { &self.format };
        let content_type = HeaderValue::from_str(&format!("{PREFIX}{text}{format}"));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, content_type.expect("it is a part of a header value"));
        // The body grows by its last frame, and in text by a third.
        headers.remove(header::CONTENT_LENGTH);
        response
    }
}

/// The form that a media type names, and the format with its sign.
fn form(media: &str) -> Option<(Form, String)> {
    let essence = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let rest = essence.strip_prefix(PREFIX)?;
    let (form, format) = match rest.strip_prefix("-text") {
        Some(format) => (Form::Text, format),
        None => (Form::Binary, rest),
    };
    (format.is_empty() || format.starts_with('+')).then(|| (form, format.to_owned()))
}

/// The form that a caller asks for, if it asks for one.
fn accepted(headers: &HeaderMap) -> Option<Form> {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).find_map(|media| form(media).map(|(form, _)| form))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(content_type: &str, accept: &str, expected: Option<(Form, Form, &str)>) {
        let request = Request::post("/").header("content-type", content_type).header("accept", accept).body(());
        let dialect = Dialect::of(&request.unwrap());
        let found = dialect.as_ref().map(|dialect| (dialect.asks, dialect.hears, dialect.format.as_str()));
        assert_eq!(found, expected, "{content_type} {accept}");
    }

    #[test]
    fn the_form_of_the_answer_is_that_of_the_question_unless_another_is_asked_for() {
        use Form::{Binary, Text};

        check("application/grpc-web", "*/*", Some((Binary, Binary, "")));
        check("application/grpc-web+proto", "", Some((Binary, Binary, "+proto")));
        check("application/grpc-web-text", "*/*", Some((Text, Text, "")));
        check("Application/gRPC-Web-Text+proto; charset=utf-8", "", Some((Text, Text, "+proto")));
        check("application/grpc-web", "application/grpc-web-text, */*;q=0.5", Some((Binary, Text, "")));
        check("application/grpc-web-text", "application/grpc-web+proto", Some((Text, Binary, "")));
    }

    #[test]
    fn what_is_no_grpc_web_is_left_alone() {
        check("application/grpc", "*/*", None);
        check("application/grpc-webbing", "*/*", None);
        check("application/json", "application/grpc-web", None);
        assert_eq!(Dialect::of(&Request::get("/").header("content-type", PREFIX).body(()).unwrap()), None);
    }
}
