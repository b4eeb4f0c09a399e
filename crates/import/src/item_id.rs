//! Derives `menuItemId` from what a line of a menu says, so that importing the same file again changes no id.
//!
//! An id is the slug of category and name. Letters and digits of any script stay, since dropping them would make one id of many
//! names. Items that share a slug are numbered in the order of the file; a number that would make the slug of another item is skipped,
//! so that an item without namesakes keeps its id whatever its neighbours are called.

use sha2::{Digest, Sha256};
use std::collections::{HashMap, HashSet};

/// Characters of an id at most; `MenuItem.menu_item_id` in the contract.
pub const ID_CHARS_MAX: usize = 100;
/// Characters of a slug at most: room is left for an ordinal. A number is skipped only for the id of another item, so 10,000 items
/// come to `-10000` at most: six characters.
const SLUG_CHARS_MAX: usize = ID_CHARS_MAX - 6;
/// Hexadecimal digits that stand for what was cut off: 32 bits tell 10,000 items apart but for one file in a hundred, and there the
/// ordinal does.
const HASH_CHARS: usize = 8;

/// Derives the ids of a menu's items, given as (category, name), in the order of the file.
#[must_use]
pub fn derive<'a>(items: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    let slugs: Vec<String> = items.into_iter().map(|(category, name)| slug(category, name)).collect();
    let mut taken: HashSet<String> = slugs.iter().cloned().collect();
    let mut last_ordinals: HashMap<&str, usize> = HashMap::new();
    let mut ids = Vec::with_capacity(slugs.len());
    for slug in &slugs {
        let ordinal = last_ordinals.entry(slug).or_insert(0);
        *ordinal += 1;
        if *ordinal == 1 {
            ids.push(slug.clone());
            continue;
        }
        let mut id = format!("{slug}-{ordinal}");
        while !taken.insert(id.clone()) {
            *ordinal += 1;
            id = format!("{slug}-{ordinal}");
        }
        ids.push(id);
    }
    ids
}

/// Category and name in lower case, with one hyphen for each run of anything but letters and digits.
fn slug(category: &str, name: &str) -> String {
    let mut slug = String::new();
    for part in [category, name] {
        for character in part.chars() {
            match character.is_alphanumeric() {
                true => slug.extend(character.to_lowercase()),
                false => push_hyphen(&mut slug),
            }
        }
        push_hyphen(&mut slug);
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() {
        return format!("item-{}", hash(category, name));
    }
    match slug.char_indices().nth(SLUG_CHARS_MAX) {
        None => slug.to_owned(),
        Some(_) => {
            let kept: String = slug.chars().take(SLUG_CHARS_MAX - HASH_CHARS - 1).collect();
            format!("{}-{}", kept.trim_end_matches('-'), hash(category, name))
        }
    }
}

fn push_hyphen(slug: &mut String) {
    if !slug.is_empty() && !slug.ends_with('-') {
        slug.push('-');
    }
}

fn hash(category: &str, name: &str) -> String {
    let digest = Sha256::new().chain_update(category).chain_update([0]).chain_update(name).finalize();
    digest.iter().take(HASH_CHARS / 2).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(items: &[(&str, &str)], ids: &[&str]) {
        assert_eq!(derive(items.iter().copied()), ids);
    }

    #[test]
    fn an_id_is_category_and_name_in_small_letters() {
        check(
            &[("Jumbo Wings", "Chicken (1/4) & Chips!"), ("", "Plain Naan")],
            &["jumbo-wings-chicken-1-4-chips", "plain-naan"],
        );
    }

    #[test]
    fn equal_items_are_numbered_in_the_order_of_the_file() {
        check(&[("", "Naan"), ("", "Puree"), ("", "naan"), ("", "Naan")], &["naan", "puree", "naan-2", "naan-3"]);
    }

    #[test]
    fn an_ordinal_never_makes_the_id_of_another_item() {
        check(&[("", "Naan"), ("", "Naan"), ("", "Naan 2")], &["naan", "naan-3", "naan-2"]);
        check(&[("", "A 2"), ("", "A 2"), ("", "A"), ("", "A")], &["a-2", "a-2-2", "a", "a-3"]);
        check(&[("", "A 2 2"), ("", "A"), ("", "A 2"), ("", "A 2")], &["a-2-2", "a", "a-2", "a-2-3"]);
    }

    #[test]
    fn letters_of_other_scripts_stay() {
        check(&[("Entrées", "S’mores"), ("", "麻婆豆腐")], &["entrées-s-mores", "麻婆豆腐"]);
    }

    #[test]
    fn a_name_without_letters_still_has_an_id() {
        let ids = derive([("", "!!!"), ("", "???")]);

        assert!(ids.iter().all(|id| id.starts_with("item-") && id.len() == "item-".len() + HASH_CHARS), "{ids:?}");
        assert_ne!(ids[0], ids[1]);
    }

    #[test]
    fn a_long_name_is_cut_and_stays_distinct() {
        let (one, other) = (format!("{} one", "é".repeat(200)), format!("{} other", "é".repeat(200)));

        let ids = derive([("", one.as_str()), ("", other.as_str()), ("", one.as_str())]);

        assert!(ids.iter().all(|id| id.chars().count() <= ID_CHARS_MAX), "{ids:?}");
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 3);
        assert_eq!(ids[2], format!("{}-2", ids[0]));
    }
}
