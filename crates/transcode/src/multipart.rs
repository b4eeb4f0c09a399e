//! Reads a form with a file (RFC 7578), as browsers send it: the file is the body, the other fields are parameters.

use bytes::Bytes;

/// Parts of a form at most: more than a form has fields.
const PARTS_MAX: usize = 100;

/// A file, and what was sent with it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) content_type: String,
    pub(crate) data: Bytes,
    pub(crate) fields: Vec<(String, String)>,
}

/// One part: what its headers say, and where its content is.
struct Part {
    name: String,
    is_file: bool,
    content_type: String,
    content: Bytes,
}

/// The boundary between the parts, if this is a form (RFC 2046 5.1.1).
pub(crate) fn boundary(content_type: &str) -> Option<&str> {
    let (essence, parameters) = content_type.split_once(';')?;
    if !essence.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    parameter(parameters, "boundary").filter(|boundary| !boundary.is_empty() && boundary.len() <= 70)
}

/// Reads a form with one file.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn read(body: &Bytes, boundary: &str) -> Result<Form, &'static str> {
    let mut file = None;
    let mut fields = Vec::new();
    for part in parts(body, boundary)? {
        if part.is_file {
            if file.replace((part.content_type, part.content)).is_some() {
                return Err("has several files; one is taken");
            }
        } else {
            let text = String::from_utf8(part.content.to_vec()).map_err(|_| "has a field that is not UTF-8")?;
            fields.push((part.name, text));
        }
    }
    let (content_type, data) = file.ok_or("has no file")?;
    Ok(Form { content_type, data, fields })
}

fn parts(body: &Bytes, boundary: &str) -> Result<Vec<Part>, &'static str> {
    const CUT_SHORT: &str = "is a form that is cut short";
    let delimiter = format!("\r\n--{boundary}");
    let mut at = match body.strip_prefix(&delimiter.as_bytes()[2..]) {
        Some(_) => delimiter.len() - 2,
        None => find(body, delimiter.as_bytes()).ok_or("is no form with its boundary")? + delimiter.len(),
    };
    let mut parts = Vec::new();
    loop {
        let rest = &body[at..];
        if rest.starts_with(b"--") {
            return Ok(parts);
        }
        if parts.len() == PARTS_MAX {
            return Err("has too many parts");
        }
        let begin = rest.strip_prefix(b"\r\n").ok_or(CUT_SHORT)?;
        let head = find(begin, b"\r\n\r\n").ok_or(CUT_SHORT)?;
        let content = at + 2 + head + 4;
        let length = find(&body[content..], delimiter.as_bytes()).ok_or(CUT_SHORT)?;
        let head = std::str::from_utf8(&begin[..head]).map_err(|_| "has a part whose headers are not UTF-8")?;
        parts.push(part(head, body.slice(content..content + length))?);
        at = content + length + delimiter.len();
    }
}

fn part(head: &str, content: Bytes) -> Result<Part, &'static str> {
    let header = |name: &str| {
        let lines = head.split("\r\n").filter_map(|line| line.split_once(':'));
        lines.into_iter().find(|(given, _)| given.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    };
    let disposition = header("content-disposition").and_then(|value| value.strip_prefix("form-data"));
    let disposition = disposition.ok_or("has a part that is no form-data")?;
    Ok(Part {
        name: parameter(disposition, "name").ok_or("has a part without a name")?.to_owned(),
        is_file: parameter(disposition, "filename").is_some(),
        content_type: header("content-type").unwrap_or("application/octet-stream").to_owned(),
        content,
    })
}

/// A parameter of a header, without its quotes.
fn parameter<'h>(parameters: &'h str, name: &str) -> Option<&'h str> {
    let pairs = parameters.split(';').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.into_iter().find(|(given, _)| given.trim().eq_ignore_ascii_case(name))?;
    let value = value.trim();
    Some(value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value))
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(parts: &[(&str, &str)]) -> Bytes {
        let part = |(head, content): &(&str, &str)| {
            format!("--b\r\nContent-Disposition: form-data; {head}\r\n\r\n{content}\r\n")
        };
        let parts: String = parts.iter().map(part).collect();
        format!("{parts}--b--\r\n").into()
    }

    #[test]
    fn a_boundary_stands_in_the_content_type() {
        assert_eq!(boundary("multipart/form-data; boundary=b"), Some("b"));
        assert_eq!(boundary("Multipart/Form-Data; charset=utf-8; boundary=\"b c\""), Some("b c"));
        assert_eq!(boundary("multipart/mixed; boundary=b"), None);
        assert_eq!(boundary("multipart/form-data"), None);
    }

    #[test]
    fn a_file_is_found_among_fields() {
        let body = form(&[
            ("name=\"a\"", "1"),
            ("name=\"f\"; filename=\"x.png\"\r\nContent-Type: image/png", "\r\n--raw\r\n"),
            ("name=b", ""),
        ]);

        let form = read(&body, "b").unwrap();

        assert_eq!((form.content_type.as_str(), form.data.as_ref()), ("image/png", b"\r\n--raw\r\n".as_slice()));
        assert_eq!(form.fields, [("a".to_owned(), "1".to_owned()), ("b".to_owned(), String::new())]);
    }

    #[test]
    fn a_form_without_one_file_or_its_end_is_refused() {
        assert_eq!(read(&form(&[("name=\"a\"", "1")]), "b"), Err("has no file"));
        let file = ("name=\"a\"; filename=\"x\"", "1");
        assert_eq!(read(&form(&[file, file]), "b"), Err("has several files; one is taken"));
        let whole = form(&[file]);
        assert_eq!(read(&whole.slice(..whole.len() - 6), "b"), Err("is a form that is cut short"));
        assert_eq!(read(&whole, "other"), Err("is no form with its boundary"));
        assert_eq!(read(&form(&[("filename=\"x\"", "1")]), "b"), Err("has a part without a name"));
    }
}
