//! API keys: long random texts of programs, of which only hashes are kept.

use super::{Identity, Known, Naming};
use crate::Error;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use subtle::ConstantTimeEq;
use tracing::{info, warn};

/// Bytes of a file with keys at most: some thousand keys.
const FILE_BYTES_MAX: usize = 1 << 20;

/// One key. A key is as good as it is long and random (`openssl rand -hex 32`), so one round of SHA-256 protects it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKey {
    /// What its holder is called.
    pub name: String,
    /// SHA-256 of the key, 64 hexadecimal digits: `printf %s "$KEY" | sha256sum`.
    pub sha256: String,
    /// What its holder may be.
    #[serde(default)]
    pub roles: Vec<String>,
    /// What else is known of its holder.
    #[serde(default)]
    pub claims: BTreeMap<String, String>,
}

impl ApiKey {
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.name.is_empty() {
            return Err(Error::setting("api_keys", "a key has no name"));
        }
        match self.hash() {
            Some(_) => Ok(()),
            None => Err(Error::setting("api_keys", format!("sha256 of {:?} is not 64 hexadecimal digits", self.name))),
        }
    }

    fn hash(&self) -> Option<Hash> {
        let digits = self.sha256.as_bytes();
        if digits.len() != 64 {
            return None;
        }
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).ok()?;
            *byte = u8::from_str_radix(pair, 16).ok().filter(|_| !pair.starts_with('+'))?;
        }
        Some(words(hash))
    }
}

/// A hash in words: comparing them takes an eighth of the time that its bytes take, and tells as little.
type Hash = [u64; 4];

fn words(hash: [u8; 32]) -> Hash {
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(hash.as_chunks().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    words
}

/// The keys that are taken now: those of the configuration, and those of a file.
#[derive(Debug)]
pub(crate) struct ApiKeys {
    own: Vec<ApiKey>,
    file: Option<PathBuf>,
    naming: Naming,
    stored: RwLock<Arc<Stored>>,
}

#[derive(Debug, Default)]
struct Stored {
    text: Option<String>,
    keys: Vec<(Hash, Arc<Identity>)>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    api_keys: Vec<ApiKey>,
}

impl ApiKeys {
    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn new(own: Vec<ApiKey>, file: Option<PathBuf>, naming: &Naming) -> Result<Self, Error> {
        let keys = ApiKeys { own, file, naming: naming.clone(), stored: RwLock::default() };
        let text = keys.file.as_deref().map(read).transpose()?;
        keys.replace(text)?;
        Ok(keys)
    }

    pub(crate) fn are_taken(&self) -> bool {
        !self.own.is_empty() || self.file.is_some()
    }

    /// The holder of a key. Takes as long whichever key it is, and whether it is one.
    pub(crate) fn find(&self, key: &[u8]) -> Option<Arc<Identity>> {
        let hash = words(Sha256::digest(key).into());
        let stored = self.stored();
        let mut found = None;
        for (known, identity) in &stored.keys {
            if bool::from(known.as_slice().ct_eq(&hash)) {
                found = Some(identity);
            }
        }
        found.cloned()
    }

    /// Reads the file again. What is there stays if it cannot be read.
    pub(crate) fn refresh(&self) {
        let Some(file) = &self.file else { return };
        let replaced = read(file).and_then(|text| {
            let is_same = self.stored().text.as_ref() == Some(&text);
            if is_same { Ok(false) } else { self.replace(Some(text)).map(|()| true) }
        });
        match replaced {
            Ok(true) => info!(file = %file.display(), "API keys were read anew"),
            Ok(false) => {}
            Err(error) => warn!(error = &error as &dyn std::error::Error, "API keys stay as they were"),
        }
    }

    fn replace(&self, text: Option<String>) -> Result<(), Error> {
        let unusable = |source: toml::de::Error| Error::File {
            path: self.file.clone().unwrap_or_default(),
            // Its own text would show the line, and so perhaps a key that stands where its hash should.
            source: source.message().to_owned().into(),
        };
        let of_file: File = text.as_deref().map(toml::from_str).transpose().map_err(unusable)?.unwrap_or_default();
        of_file.api_keys.iter().try_for_each(ApiKey::check)?;
        let keys = self.own.iter().chain(&of_file.api_keys);
        let keys = keys.filter_map(|key| Some((key.hash()?, Arc::new(self.identity(key))))).collect();
        *self.stored.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Stored { text, keys });
        Ok(())
    }

    fn identity(&self, key: &ApiKey) -> Identity {
        let claims = key.claims.iter().map(|(name, value)| (name.clone(), vec![value.clone()])).collect();
        let (subject, roles) = (key.name.as_str(), key.roles.clone());
        Identity::new(Known { by: "key", authority: "", subject, roles, claims }, &self.naming)
    }

    fn stored(&self) -> Arc<Stored> {
        // It is replaced as a whole.
        self.stored.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn read(file: &Path) -> Result<String, Error> {
    let failed = |source: crate::error::Source| Error::File { path: file.to_owned(), source };
    let text = std::fs::read_to_string(file).map_err(|error| failed(error.into()))?;
    if text.len() > FILE_BYTES_MAX {
        return Err(failed(format!("it has more than {FILE_BYTES_MAX} bytes").into()));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn line(name: &str, key: &str) -> String {
        let hash: String = Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("[[api_keys]]\nname = \"{name}\"\nsha256 = \"{hash}\"\n")
    }

    fn holder(keys: &ApiKeys, key: &str) -> Option<String> {
        keys.find(key.as_bytes()).map(|identity| identity.subject.clone())
    }

    #[test]
    fn a_file_is_read_again_and_a_broken_one_changes_nothing() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let naming = Naming { prefix: "x-", claims: BTreeSet::new() };
        std::fs::write(file.path(), line("old", "a")).unwrap();
        let keys = ApiKeys::new(Vec::new(), Some(file.path().to_owned()), &naming).unwrap();
        assert_eq!(holder(&keys, "a").as_deref(), Some("old"));

        std::fs::write(file.path(), line("new", "b")).unwrap();
        keys.refresh();
        assert_eq!((holder(&keys, "a"), holder(&keys, "b").as_deref()), (None, Some("new")));

        std::fs::write(file.path(), "[[api_keys]]\nname = \"x\"\nsha256 = \"b\"\n").unwrap();
        keys.refresh();
        assert_eq!(holder(&keys, "b").as_deref(), Some("new"));
    }

    #[test]
    fn a_key_in_place_of_its_hash_is_refused_and_not_repeated() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let naming = Naming { prefix: "x-", claims: BTreeSet::new() };
        for text in
            ["[[api_keys]]\nname = \"x\"\nsha256 = \"secret\"\n", "[[api_keys]]\nname = \"x\"\nkey = \"secret\"\n"]
        {
            std::fs::write(file.path(), text).unwrap();

            let error = ApiKeys::new(Vec::new(), Some(file.path().to_owned()), &naming).unwrap_err();

            assert!(!format!("{error:?} {error}").contains("secret\""), "{error:?}");
        }
    }

    #[test]
    fn a_hash_has_64_hexadecimal_digits() {
        let key = |sha256: String| ApiKey { name: "x".to_owned(), sha256, roles: Vec::new(), claims: BTreeMap::new() };

        assert!(key("aB".repeat(32)).check().is_ok());
        for wrong in [String::new(), "ab".repeat(31), "ab".repeat(33), "zz".repeat(32), "+a".repeat(32), "ü".repeat(32)]
        {
            assert!(key(wrong.clone()).check().is_err(), "{wrong}");
        }
    }
}
