//! Takes the files of Swagger UI that the page of the API needs out of their archive, each as it is and compressed.

use flate2::Compression;
use flate2::write::GzEncoder;
use std::borrow::Cow;
use std::error::Error;
use std::fs;
use std::io::{Cursor, Read, Write};
use std::path::PathBuf;
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::ZipArchive;

const FILES: [&str; 3] = ["swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let folder = PathBuf::from(std::env::var("OUT_DIR")?).join("docs");
    fs::create_dir_all(&folder)?;
    let mut archive = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED))?;
    for file in FILES {
        let wanted = format!("/dist/{file}");
        let name = archive.file_names().flatten().find(|name| name.ends_with(&wanted)).map(Cow::into_owned);
        let name = name.ok_or_else(|| format!("Swagger UI has no {file}"))?;
        let mut content = Vec::new();
        archive.by_name(&name)?.read_to_end(&mut content)?;
        let mut compressed = GzEncoder::new(Vec::new(), Compression::best());
        compressed.write_all(&content)?;
        fs::write(folder.join(format!("{file}.gz")), compressed.finish()?)?;
        fs::write(folder.join(file), content)?;
    }
    Ok(())
}
