//! Where a lake lies: in a folder, or in a bucket of an S3-compatible store.

use std::fmt;
use std::path::PathBuf;

use super::{Durability, Lake, LakeError, LakeOptions};

/// Where a lake lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LakePlace {
    Folder(PathBuf),
    /// `s3://bucket` or `s3://bucket/prefix`. Keys, region and endpoint come from the environment.
    Bucket(String),
}

impl LakePlace {
    /// The bucket of an address.
    pub fn bucket(address: &str) -> Result<Self, LakeError> {
        let named = address.strip_prefix("s3://").is_some_and(|rest| {
            let bucket = rest.split('/').next().unwrap_or_default();
            !bucket.is_empty() && !rest.contains("//") && !rest.contains(char::is_whitespace)
        });
        if !named {
            return Err(LakeError::Location {
                location: address.to_owned(),
                problem: "an address is s3://bucket or s3://bucket/prefix".to_owned(),
            });
        }
        Ok(Self::Bucket(address.trim_end_matches('/').to_owned()))
    }
}

impl fmt::Display for LakePlace {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => write!(out, "{}", folder.display()),
            Self::Bucket(address) => out.write_str(address),
        }
    }
}

impl Lake {
    /// Opens the lake at a place; a folder is made where it is missing.
    pub async fn open_at(place: &LakePlace, durability: Durability) -> Result<Self, LakeError> {
        let options = LakeOptions::local(durability);
        match place {
            LakePlace::Folder(folder) => Self::open(folder, options).await,
            LakePlace::Bucket(address) => Self::open_url(address, options).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_a_bucket() {
        let place = LakePlace::bucket("s3://desk/lake/").unwrap();
        assert_eq!(place.to_string(), "s3://desk/lake");
        for wrong in ["", "desk", "s3://", "s3:///lake", "s3://desk//lake", "gs://desk"] {
            assert!(LakePlace::bucket(wrong).is_err(), "{wrong}");
        }
    }
}
