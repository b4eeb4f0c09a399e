//! `comanda import menu`: reads a file and brings its restaurants into a running platform.
//!
//! The good lines are imported and the bad ones are reported: a menu of 300 items with one misspelt price is worth having. The same
//! file may be imported again; restaurants are known by name and currency, items by what [`item_id`](crate::item_id) derives.

use crate::error::{Answer, Error};
use crate::menu_csv::{self, Restaurant};
use crate::platform::{self, Existing, Outcome, Platform, Wanted};
use crate::record::BadLine;
use indicatif::{ProgressBar, ProgressStyle};
use iso_currency::Currency;
use std::fmt;
use std::path::{Path, PathBuf};

/// Characters of a restaurant's name at most; `Restaurant.name` in the contract.
const NAME_CHARS_MAX: usize = 200;

/// What to import, and whereto.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The file.
    pub file: PathBuf,
    /// The restaurant's name; the file's name without its ending when it is not given. Where it would stand for several restaurants,
    /// each has its id in the file behind it.
    pub restaurant_name: Option<String>,
    /// Imports only the restaurant with this `restaurant_id` in the file.
    pub restaurant_id: Option<String>,
    /// The currency of the restaurants and of all prices.
    pub currency: Currency,
    /// The platform's address, as in `http://127.0.0.1:8080`.
    pub target: String,
    /// What to do about restaurants that are there.
    pub existing: Existing,
}

/// What was imported, and what was not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The restaurants, in the order of the file; at least one.
    pub restaurants: Vec<Imported>,
    /// The lines that could not be used.
    pub bad_lines: Vec<BadLine>,
}

/// One restaurant that was imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// Its name.
    pub name: String,
    /// The id that the platform knows it by.
    pub restaurant_id: String,
    /// How many items its menu has.
    pub items: usize,
    /// Whether it is new.
    pub outcome: Outcome,
    /// The version of its menu now.
    pub menu_version: i64,
}

impl fmt::Display for Report {
    /// One line for each restaurant, then one for each bad line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for restaurant in &self.restaurants {
            let outcome = match restaurant.outcome {
                Outcome::Created => "created",
                Outcome::Revised => "revised",
            };
            let Imported { name, restaurant_id, items, menu_version, .. } = restaurant;
            writeln!(f, "{outcome} {name:?}, {restaurant_id}: {items} items, menu version {menu_version}")?;
        }
        for bad_line in &self.bad_lines {
            writeln!(f, "{bad_line}")?;
        }
        Ok(())
    }
}

/// Imports a file. Shows its progress when standard error is a terminal.
///
/// # Errors
/// When the file has no good line or no such restaurant, or when the platform refuses or stays away for 30 s; restaurants that were
/// imported by then stay, and are revised when the file is imported again.
pub async fn run(options: &Options) -> Result<Report, Error> {
    let file = menu_csv::read(&options.file, options.currency)?;
    let wanted = select(options, file.restaurants)?;
    let mut platform = Platform::new(platform::connect(&options.target)?);
    let bar = ProgressBar::new(wanted.len() as u64).with_style(style());
    let mut restaurants = Vec::with_capacity(wanted.len());
    for wanted in wanted {
        bar.set_message(wanted.name.clone());
        let (outcome, restaurant) = platform.bring(&wanted, options.existing).await.map_err(|failed| Error::Call {
            restaurant: wanted.name.clone(),
            attempts: failed.attempts,
            done: restaurants.len(),
            source: Answer(failed.status),
        })?;
        restaurants.push(Imported {
            name: wanted.name,
            restaurant_id: restaurant.restaurant_id,
            items: wanted.items.len(),
            outcome,
            menu_version: restaurant.menu.map_or(0, |menu| menu.version),
        });
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(Report { restaurants, bad_lines: file.bad_lines })
}

/// Chooses the restaurants and names them.
fn select(options: &Options, restaurants: Vec<Restaurant>) -> Result<Vec<Wanted>, Error> {
    let has_several = restaurants.len() > 1;
    let selected = match &options.restaurant_id {
        None => restaurants,
        Some(asked) => vec![choose(&options.file, asked, restaurants)?],
    };
    let (name, is_numbered) = match &options.restaurant_name {
        Some(name) => (name.trim().to_owned(), selected.len() > 1),
        None => (stem(&options.file), has_several),
    };
    let mut wanted = Vec::with_capacity(selected.len());
    for Restaurant { id, items } in selected {
        let name = match id.filter(|_| is_numbered) {
            Some(id) => format!("{name} {id}"),
            None => name.clone(),
        };
        if name.is_empty() || name.chars().count() > NAME_CHARS_MAX {
            return Err(Error::Name { name, chars_max: NAME_CHARS_MAX });
        }
        wanted.push(Wanted { name, currency: options.currency, items });
    }
    Ok(wanted)
}

fn choose(path: &Path, asked: &str, restaurants: Vec<Restaurant>) -> Result<Restaurant, Error> {
    let existing: Vec<String> = restaurants.iter().filter_map(|it| it.id.clone()).collect();
    if existing.is_empty() {
        return Err(Error::NoRestaurantIds { path: path.to_owned() });
    }
    restaurants.into_iter().find(|it| it.id.as_deref() == Some(asked)).ok_or_else(|| Error::NoSuchRestaurant {
        path: path.to_owned(),
        asked: asked.to_owned(),
        existing,
    })
}

fn stem(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().trim().to_owned()).unwrap_or_default()
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{bar:30} {pos}/{len} restaurants {elapsed} {wide_msg}")
        .expect("the template is constant and a test renders it")
}
