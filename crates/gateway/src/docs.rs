//! The page of the API at `/docs`: Swagger UI over `/openapi.json`, from this program alone.
//!
//! Its files come out of a crate when this one is built, and nothing of the page may be asked of anybody else, which its policy says to
//! the browser. Links are relative, so that it works below a prefix as well.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use sha2::{Digest, Sha256};
use std::sync::LazyLock;
use tonic::body::Body;

/// What the page may do: run its own scripts, and talk to where it came from.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// How long a file is good for. An hour: a new version of the program is seen soon, and a visit asks once.
const CACHE: &str = "public, max-age=3600";

/// A content with the tag that it is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tagged {
    content: Bytes,
    tag: String,
}

/// A file of the page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct File {
    path: &'static str,
    content_type: &'static str,
    plain: Tagged,
    /// The same with gzip, if that is worth it.
    compressed: Option<Tagged>,
}

macro_rules! packaged {
    ($file:literal) => {
        include_bytes!(concat!(env!("OUT_DIR"), "/docs/", $file))
    };
}

/// Where all of them are.
const FOLDER: &str = "/docs";

static FILES: LazyLock<[File; 5]> = LazyLock::new(|| {
    let script = "text/javascript; charset=utf-8";
    [
        File::new("/docs", "text/html; charset=utf-8", include_bytes!("docs/page.html"), None),
        File::new("/docs/page.js", script, include_bytes!("docs/page.js"), None),
        File::new(
            "/docs/swagger-ui.js",
            script,
            packaged!("swagger-ui-bundle.js"),
            Some(packaged!("swagger-ui-bundle.js.gz")),
        ),
        File::new(
            "/docs/swagger-ui.css",
            "text/css; charset=utf-8",
            packaged!("swagger-ui.css"),
            Some(packaged!("swagger-ui.css.gz")),
        ),
        File::new("/docs/favicon.png", "image/png", packaged!("favicon-32x32.png"), None),
    ]
});

/// The file at a path.
pub(crate) fn at(path: &str) -> Option<&'static File> {
    // Nearly all paths are others, and the files are made ready when the first is asked for.
    if !path.starts_with(FOLDER) {
        return None;
    }
    FILES.iter().find(|file| file.path == path)
}

impl File {
    fn new(
        path: &'static str,
        content_type: &'static str,
        plain: &'static [u8],
        compressed: Option<&'static [u8]>,
    ) -> Self {
        let tagged = |content| Tagged::new(Bytes::from_static(content));
        File { path, content_type, plain: tagged(plain), compressed: compressed.map(tagged) }
    }

    /// The answer to a request with these headers.
    pub(crate) fn answer(&self, asked: &HeaderMap) -> Response<Body> {
        let compressed = self.compressed.as_ref().filter(|_| takes_gzip(asked));
        let mut response = compressed.unwrap_or(&self.plain).answer(self.content_type, asked);
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(CACHE));
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if self.compressed.is_some() {
            headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        }
        if compressed.is_some() {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }
}

impl Tagged {
    /// Takes a content; its tag is a digest, so that all gateways give the same.
    pub(crate) fn new(content: Bytes) -> Self {
        let digest = Sha256::digest(&content);
        let digits: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Tagged { content, tag: format!("\"{digits}\"") }
    }

    /// The content; or nothing, when that is what the client has already (RFC 9110 13.1.2).
    pub(crate) fn answer(&self, content_type: &'static str, asked: &HeaderMap) -> Response<Body> {
        let known = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        let mut known = known.flat_map(|value| value.split(',')).map(|known| known.trim().trim_start_matches("W/"));
        let is_known = known.any(|known| known == "*" || known == self.tag);
        let body = if is_known { Body::empty() } else { Body::new(Full::new(self.content.clone())) };
        let mut response = Response::new(body);
        if is_known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(header::ETAG, HeaderValue::from_str(&self.tag).expect("digits are a header value"));
        response
    }
}

fn takes_gzip(asked: &HeaderMap) -> bool {
    let values = asked.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut codings = values.flat_map(|value| value.split(','));
    codings.any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let is_gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let is_refused = parts.any(|part| part.trim_start_matches("q=").parse() == Ok(0.0));
        is_gzip && !is_refused
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn who_takes_gzip_gets_it() {
        for (value, takes) in [("gzip, br", true), ("br;q=1, GZIP;q=0.5", true), ("gzip;q=0", false), ("br", false)] {
            assert_eq!(takes_gzip(&asked(header::ACCEPT_ENCODING, value)), takes, "{value}");
        }
    }

    #[test]
    fn what_the_client_has_is_not_sent_again() {
        let file = at("/docs/page.js").unwrap();
        let tag = file.answer(&HeaderMap::new()).headers()[header::ETAG].to_str().unwrap().to_owned();

        for (known, status) in [(tag.clone(), 304), (format!("\"x\", W/{tag}"), 304), ("\"x\"".to_owned(), 200)] {
            assert_eq!(file.answer(&asked(header::IF_NONE_MATCH, &known)).status(), status, "{known}");
        }
    }

    #[test]
    fn every_file_of_the_page_is_there() {
        let page = include_str!("docs/page.html");
        let linked = page.split(['"']).filter(|text| text.starts_with("docs/"));
        for path in linked {
            assert!(at(&format!("/{path}")).is_some(), "{path}");
        }
        assert!(FILES.iter().all(|file| !file.plain.content.is_empty()));
    }
}
