//! Which methods a rule is about: `/package.Service/Method`, or the beginning of it and `*`.

/// Whether `pattern` covers the method at `path`.
pub(crate) fn covers(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => path.starts_with(beginning),
        None => path == pattern,
    }
}

/// Whether any of `patterns` covers the method at `path`.
pub(crate) fn any_covers(patterns: &[String], path: &str) -> bool {
    patterns.iter().any(|pattern| covers(pattern, path))
}

/// What is wrong with a pattern.
pub(crate) fn complaint(pattern: &str) -> Option<String> {
    let beginning = pattern.strip_suffix('*').unwrap_or(pattern);
    let is_path = beginning.is_empty() && pattern == "*" || beginning.starts_with('/');
    let is_whole = pattern.ends_with('*') || pattern.matches('/').count() == 2;
    if is_path && is_whole && !beginning.contains('*') {
        return None;
    }
    Some(format!("{pattern:?} is no method such as /package.Service/Method, /package.Service/* or *"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_method_or_a_beginning() {
        for covered in ["*", "/a.*", "/a.B/*", "/a.B/Get*", "/a.B/GetIt"] {
            assert!(covers(covered, "/a.B/GetIt"), "{covered}");
        }
        for other in ["/a.B/Get", "/a.C/*", "/a.B/GetIt2", "", "/"] {
            assert!(!covers(other, "/a.B/GetIt"), "{other}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_named() {
        for pattern in ["*", "/a.*", "/a.B/*", "/a.B/C"] {
            assert_eq!(complaint(pattern), None, "{pattern}");
        }
        for pattern in ["", "a.B/C", "/a.B", "/*/C", "**", "/a.B/C/d"] {
            assert!(complaint(pattern).is_some(), "{pattern}");
        }
    }
}
