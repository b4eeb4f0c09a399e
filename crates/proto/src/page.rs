//! Pages of a list (AIP-158): a size with bounds, and a token that says where the page before ended.
//!
//! A token is the last key of its page, so that rows which arrive meanwhile move nothing, and a fingerprint of the filters, so that it
//! cannot be used with others.

use crate::violation::Violation;
use std::hash::{Hash, Hasher};

/// Rows of a page when the client does not say.
const PAGE_SIZE_DEFAULT: u32 = 50;
/// Rows of a page at most: 1,000 orders of ~1 KiB are 1 MiB.
const PAGE_SIZE_MAX: u32 = 1000;
/// Bytes of a page at most, unless one row alone has more; below the 4 MiB that a gRPC client takes by default.
pub const PAGE_BYTES_MAX: usize = 3 * 1024 * 1024;

/// A page that a client asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Rows at most, 1 to 1000.
    pub size: u32,
    /// Only rows after this key; `None` for the first page.
    pub after: Option<[u8; 16]>,
    fingerprint: u64,
}

impl Page {
    /// Reads `page_size` and `page_token` of a list whose filters are `filters`.
    ///
    /// # Errors
    /// When the size is negative, or the token is not one that was given out for these filters.
    pub fn parse(size: i32, token: &str, filters: &impl Hash) -> Result<Self, Violation> {
        let size = match u32::try_from(size) {
            Ok(0) => PAGE_SIZE_DEFAULT,
            Ok(size) => size.min(PAGE_SIZE_MAX),
            Err(_) => return Err(Violation::new("page_size", "must not be negative")),
        };
        let fingerprint = fingerprint(filters);
        let after = match token {
            "" => None,
            token => {
                let complaint = "must be the next_page_token of a page with the same filters";
                let (key, of) = read_token(token).ok_or_else(|| Violation::new("page_token", complaint))?;
                if of != fingerprint {
                    return Err(Violation::new("page_token", complaint));
                }
                Some(key)
            }
        };
        Ok(Page { size, after, fingerprint })
    }

    /// Cuts rows to the page and says how to ask for the next one. The rows must go at least one beyond the page, if there are more:
    /// beyond its size, or beyond [`PAGE_BYTES_MAX`]; a page that would be larger has fewer rows, which AIP-158 allows.
    pub fn cut<T>(&self, rows: &mut Vec<T>, key: impl Fn(&T) -> [u8; 16], bytes: impl Fn(&T) -> usize) -> String {
        let mut total = 0;
        let fits = |row: &&T| {
            total += bytes(row);
            total <= PAGE_BYTES_MAX
        };
        let fitting = rows.iter().take(self.size as usize).take_while(fits).count().max(1);
        if rows.len() <= fitting {
            return String::new();
        }
        rows.truncate(fitting);
        rows.last().map_or_else(String::new, |last| {
            format!("{:016x}{}", self.fingerprint, uuid::Uuid::from_bytes(key(last)).simple())
        })
    }
}

fn read_token(token: &str) -> Option<([u8; 16], u64)> {
    let (fingerprint, key) = token.split_at_checked(16)?;
    if !token.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    Some((uuid::Uuid::try_parse(key).ok()?.into_bytes(), u64::from_str_radix(fingerprint, 16).ok()?))
}

/// FNV-1a, which, unlike the hasher of the standard library, is the same in every version of the program.
fn fingerprint(filters: &impl Hash) -> u64 {
    struct Fnv(u64);
    impl Hasher for Fnv {
        fn write(&mut self, bytes: &[u8]) {
            for byte in bytes {
                self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        fn finish(&self) -> u64 {
            self.0
        }
    }
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    filters.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leads_to_the_rows_after_its_page() {
        let first = Page::parse(2, "", &"filters").unwrap();
        let mut rows = vec![[3; 16], [2; 16], [1; 16]];

        let token = first.cut(&mut rows, |row| *row, |_| 1);

        assert_eq!(rows.len(), 2);
        assert_eq!(Page::parse(2, &token, &"filters").unwrap().after, Some([2; 16]));
    }

    #[test]
    fn the_last_page_has_no_token() {
        assert_eq!(Page::parse(2, "", &"").unwrap().cut(&mut vec![[3; 16], [2; 16]], |row| *row, |_| 1), "");
    }

    #[test]
    fn a_page_of_large_rows_has_fewer_of_them() {
        let page = Page::parse(100, "", &"").unwrap();
        let mut rows = vec![[4; 16], [3; 16], [2; 16], [1; 16]];

        let token = page.cut(&mut rows, |row| *row, |_| PAGE_BYTES_MAX / 2);

        assert_eq!(rows, [[4; 16], [3; 16]]);
        assert_eq!(Page::parse(100, &token, &"").unwrap().after, Some([3; 16]));
    }

    #[test]
    fn a_row_that_is_too_large_still_comes() {
        let mut rows = vec![[2; 16], [1; 16]];

        let token = Page::parse(100, "", &"").unwrap().cut(&mut rows, |row| *row, |_| usize::MAX / 4);

        assert_eq!((rows.len(), token.is_empty()), (1, false));
    }

    #[test]
    fn a_token_of_other_filters_is_refused() {
        let token = Page::parse(1, "", &"one").unwrap().cut(&mut vec![[3; 16], [2; 16]], |row| *row, |_| 1);

        assert_eq!(Page::parse(1, &token, &"other").unwrap_err().field, "page_token");
        for forged in ["x", "0123456789abcdef", "éééééééééééééééé", &token[1..]] {
            assert_eq!(Page::parse(1, forged, &"one").unwrap_err().field, "page_token");
        }
    }

    #[test]
    fn a_page_has_bounds() {
        assert_eq!(Page::parse(0, "", &"").unwrap().size, 50);
        assert_eq!(Page::parse(i32::MAX, "", &"").unwrap().size, 1000);
        assert_eq!(Page::parse(-1, "", &"").unwrap_err().field, "page_size");
    }
}
