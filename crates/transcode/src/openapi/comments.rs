//! Finds the comment that stands before a thing in its `.proto` file, and what it says of errors and values.

use prost_reflect::FileDescriptor;
use tonic::Code;

/// The codes that a method can end with, as comments name them.
const CODES: [(&str, Code); 16] = [
    ("ABORTED", Code::Aborted),
    ("ALREADY_EXISTS", Code::AlreadyExists),
    ("CANCELLED", Code::Cancelled),
    ("DATA_LOSS", Code::DataLoss),
    ("DEADLINE_EXCEEDED", Code::DeadlineExceeded),
    ("FAILED_PRECONDITION", Code::FailedPrecondition),
    ("INTERNAL", Code::Internal),
    ("INVALID_ARGUMENT", Code::InvalidArgument),
    ("NOT_FOUND", Code::NotFound),
    ("OUT_OF_RANGE", Code::OutOfRange),
    ("PERMISSION_DENIED", Code::PermissionDenied),
    ("RESOURCE_EXHAUSTED", Code::ResourceExhausted),
    ("UNAUTHENTICATED", Code::Unauthenticated),
    ("UNAVAILABLE", Code::Unavailable),
    ("UNIMPLEMENTED", Code::Unimplemented),
    ("UNKNOWN", Code::Unknown),
];

/// The comment at a place of a file; empty when there is none, or the set came without source information.
pub(crate) fn comment(file: &FileDescriptor, path: &[i32]) -> String {
    let info = file.file_descriptor_proto().source_code_info.as_ref();
    let location = info.and_then(|info| info.location.iter().find(|location| location.path == path));
    let text = location.and_then(|location| location.leading_comments.as_deref()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end()).collect();
    lines.join("\n").trim().to_owned()
}

/// The first sentence of a comment.
pub(crate) fn summary(comment: &str) -> &str {
    let line = comment.lines().next().unwrap_or_default();
    line.split(". ").next().unwrap_or_default().trim_end_matches('.')
}

/// A comment as Markdown: the lines that begin with codes are a list.
pub(crate) fn markdown(comment: &str) -> String {
    let mut text = String::with_capacity(comment.len());
    for line in comment.lines() {
        if leading_code(line).is_some() {
            text.push_str("- ");
        }
        text.push_str(line);
        text.push('\n');
    }
    text.trim().to_owned()
}

/// What a comment says of errors: each line that begins with a code, with the lines that go on with it; and the sentence around a
/// code elsewhere.
pub(crate) fn errors(comment: &str) -> Vec<(Code, String)> {
    let mut errors: Vec<(Code, String)> = Vec::new();
    let mut goes_on = false;
    for line in comment.lines() {
        let line = line.trim();
        if let Some(code) = leading_code(line) {
            errors.push((code, line.to_owned()));
            goes_on = true;
        } else if line.is_empty() {
            goes_on = false;
        } else if let (true, Some((_, text))) = (goes_on, errors.last_mut()) {
            text.push(' ');
            text.push_str(line);
        } else {
            let sentences = line.split_inclusive(". ").map(str::trim);
            let named = sentences.filter_map(|sentence| Some((code_within(sentence)?, sentence.to_owned())));
            errors.extend(named);
        }
    }
    errors
}

fn leading_code(line: &str) -> Option<Code> {
    let word = line.split([':', ',']).next().filter(|word| word.len() < line.len())?;
    code(word)
}

fn code_within(sentence: &str) -> Option<Code> {
    // A word alone could be a state of a resource; with an underscore it is hardly anything else.
    let mut words = sentence.split(|letter: char| !(letter.is_ascii_uppercase() || letter == '_'));
    words.find_map(|word| code(word).filter(|_| word.contains('_')))
}

fn code(word: &str) -> Option<Code> {
    CODES.iter().find(|(name, _)| *name == word).map(|(_, code)| *code)
}

/// What a comment gives as an example: the text that follows "such as", if it stands in backquotes.
pub(crate) fn example(comment: &str) -> Option<&str> {
    let (_, rest) = comment.split_once("such as `")?;
    rest.split_once('`').map(|(example, _)| example)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_found_where_lines_begin_with_their_codes() {
        let comment = "Takes it.\n\nNOT_FOUND, reason NO_SUCH: there is\nnone.\nUNAVAILABLE: come again.\n\nMore text.";

        assert_eq!(
            errors(comment),
            [
                (Code::NotFound, "NOT_FOUND, reason NO_SUCH: there is none.".to_owned()),
                (Code::Unavailable, "UNAVAILABLE: come again.".to_owned()),
            ]
        );
    }

    #[test]
    fn errors_are_a_list() {
        assert_eq!(markdown("Takes it.\n\nNOT_FOUND: there\nis none."), "Takes it.\n\n- NOT_FOUND: there\nis none.");
    }

    #[test]
    fn errors_are_found_in_sentences() {
        let comment = "Cancels it. Those that are CANCELLED or UNKNOWN answer FAILED_PRECONDITION. Harmless.";

        let sentence = "Those that are CANCELLED or UNKNOWN answer FAILED_PRECONDITION.".to_owned();
        assert_eq!(errors(comment), [(Code::FailedPrecondition, sentence)]);
    }

    #[test]
    fn an_example_stands_in_backquotes() {
        assert_eq!(example("An IANA name such as `Europe/London`; empty means `UTC`."), Some("Europe/London"));
        assert_eq!(example("A name, such as Bob."), None);
    }
}
