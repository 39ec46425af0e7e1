//! The console's script and style and the two libraries it uses, as they are in the program.
//!
//! A file's address says which content it has, so a browser asks for each once and never sees an old one beside a new page.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use sha2::{Digest, Sha256};

use crate::web::problem::Problem;

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
/// So much of a hash tells two versions apart.
const HASH_BYTES: usize = 8;

/// A file that pages refer to.
struct Asset {
    name: &'static str,
    kind: &'static str,
    text: &'static str,
}

const ASSETS: [Asset; 5] = [
    Asset { name: "console.css", kind: STYLE, text: include_str!("../../../assets/console.css") },
    Asset { name: "console.js", kind: SCRIPT, text: include_str!("../../../assets/console.js") },
    Asset { name: "htmx.js", kind: SCRIPT, text: include_str!("../../../assets/vendor/htmx-4.0.1.min.js") },
    Asset { name: "uplot.css", kind: STYLE, text: include_str!("../../../assets/vendor/uplot-1.6.32.min.css") },
    Asset { name: "uplot.js", kind: SCRIPT, text: include_str!("../../../assets/vendor/uplot-1.6.32.min.js") },
];

/// The address of each, in the order of [`ASSETS`].
static ADDRESSES: LazyLock<[String; ASSETS.len()]> = LazyLock::new(|| {
    ASSETS.each_ref().map(|asset| {
        let hash = hex::encode(&Sha256::digest(asset.text)[..HASH_BYTES]);
        format!("/console/assets/{hash}/{}", asset.name)
    })
});

/// Where the file of this name is.
///
/// # Panics
/// For a name that is none of ours: names are written in this program.
pub(super) fn address(name: &str) -> &'static str {
    let index = ASSETS.iter().position(|asset| asset.name == name).expect("a page names files that there are");
    &ADDRESSES[index]
}

/// Whatever hash is asked for, the answer is what there is: a page from before an update finds something.
pub(super) async fn show(Path((_, name)): Path<(String, String)>) -> Result<Response, Problem> {
    let found = ASSETS.iter().find(|asset| asset.name == name);
    let asset = found.ok_or_else(|| Problem::not_found("not_found", "There is nothing at this path."))?;
    let headers = [(CONTENT_TYPE, asset.kind), (CACHE_CONTROL, "public, max-age=31536000, immutable")];
    Ok((headers, asset.text).into_response())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_libraries_are_the_files_that_were_looked_at() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/vendor");
        let sums = std::fs::read_to_string(folder.join("SHA256SUMS")).unwrap();
        let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name()).collect();
        files.retain(|file| file != "README.md" && file != "SHA256SUMS");
        assert_eq!(sums.lines().count(), files.len(), "every file has a sum");
        for line in sums.lines() {
            let (sum, file) = line.split_once("  ").unwrap();
            assert_eq!(hex::encode(Sha256::digest(std::fs::read(folder.join(file)).unwrap())), sum, "{file}");
        }
    }

    #[test]
    fn all_of_it_is_less_than_the_weight_of_a_page() {
        let bytes: usize = ASSETS.iter().map(|asset| asset.text.len()).sum();
        assert!(bytes < 200_000, "{bytes}");
    }
}
