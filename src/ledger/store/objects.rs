//! A log in a bucket or in a folder, through `object_store`.
//!
//! Appends have a client of their own that tries once; reading and fetching credentials may be tried again, since that
//! changes nothing. What the library makes of an answer is not enough to tell failures apart, so answers are looked at
//! on the wire (`store::wire`).

use std::{collections::BTreeMap, fmt, future::Future, path::Path as FilePath, sync::Arc, time::Duration};

use futures::{StreamExt as _, TryStreamExt as _, future::join_all, stream};
use jiff::Timestamp;
use object_store::{
    BackoffConfig, ClientConfigKey, Error, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload,
    RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut},
    azure::{AzureConfigKey, MicrosoftAzureBuilder},
    gcp::{GoogleCloudStorageBuilder, GoogleConfigKey},
    local::LocalFileSystem,
    path::Path,
};
use tokio::{runtime::Runtime, time::timeout};

use super::{
    Created, Listed, Object, Store, StoreFault,
    wire::{Wire, is_loopback},
};
use crate::place::{Bucket, Cloud, Place};

/// The environment: where credentials and endpoints come from.
pub type Variables = BTreeMap<String, String>;

/// The longest that one append, or one look, may take.
const TRY_FOR: Duration = Duration::from_secs(8);
/// The longest that reading a whole log, or a snapshot, may take.
const LONG: Duration = Duration::from_secs(180);
/// How many reads are on their way at once.
const READS: usize = 32;
/// And how many of each store where many are read at once: a program may hold a few hundred connections open, not more.
const READS_BESIDE: usize = 4;
/// How many creates race in a round of the probe.
const RACERS: usize = 16;
/// How many rounds of a probe may be repeated for want of an answer.
const SPARE_ROUNDS: u32 = 5;

/// A log in a bucket or folder.
pub struct Objects {
    name: String,
    prefix: Path,
    maker: Maker,
    wire: Wire,
    appends: Arc<dyn ObjectStore>,
    reads: Arc<dyn ObjectStore>,
    reads_at_once: usize,
    /// Gone only while it is dropped.
    runtime: Option<Runtime>,
}

/// How clients are made. Holds credentials.
#[derive(Clone)]
enum Maker {
    Folder,
    S3(AmazonS3Builder),
    Gcs(GoogleCloudStorageBuilder),
    Azure(MicrosoftAzureBuilder),
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Objects({})", self.name)
    }
}

impl Objects {
    /// The store of a bucket or folder. Nothing is asked of it yet.
    pub fn open(place: &Place, variables: &Variables) -> Result<Self, StoreFault> {
        let maker = match place {
            Place::Bucket(bucket) => Maker::of(bucket, variables)?,
            Place::Folder(_) | Place::File(_) | Place::Postgres(_) => Maker::Folder,
        };
        Self::made(place, maker, Wire::new()?)
    }

    /// The store of another place in the same bucket, or of another folder: with the same credentials, which are not
    /// asked for anew, and the same trust. What goes wrong with one of them is told of that one alone.
    pub fn beside(&self, place: &Place) -> Result<Self, StoreFault> {
        let mut store = Self::made(place, self.maker.clone(), self.wire.apart())?;
        store.reads_at_once = READS_BESIDE;
        Ok(store)
    }

    fn made(place: &Place, maker: Maker, wire: Wire) -> Result<Self, StoreFault> {
        let prefix = match place {
            Place::Folder(folder) => folder_path(folder)?,
            Place::Bucket(bucket) => prefix_path(&bucket.prefix)?,
            Place::File(_) | Place::Postgres(_) => {
                return Err(StoreFault::Unusable("this is no bucket and no folder".to_owned()));
            }
        };
        // Building a client may look for a runtime.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|why| StoreFault::Unusable(format!("no runtime can be started: {why}")))?;
        let (reads, maker) = {
            let _inside = runtime.enter();
            maker.reads(&wire)?
        };
        let appends = {
            let _inside = runtime.enter();
            maker.appends(&wire)?
        };
        Ok(Self {
            name: place.name(),
            prefix,
            maker,
            wire,
            appends,
            reads,
            reads_at_once: READS,
            runtime: Some(runtime),
        })
    }

    /// All logs right below the place that this is the store of.
    pub fn below(&self, place: &Place) -> Result<Vec<Place>, StoreFault> {
        let store = self;
        let listed = store.wait(LONG, store.reads.list_with_delimiter(Some(&store.prefix)))?;
        let first = |child: &Path| joined(child, &Object::name(1));
        let names: Vec<Path> = listed.common_prefixes;
        let looks = async {
            let there = stream::iter(names).map(|child| async {
                match store.reads.head(&first(&child)).await {
                    Err(Error::NotFound { .. }) => None,
                    // One that cannot be looked at is one: whoever opens it is told why, and it hides no other.
                    Ok(_) | Err(_) => Some(child),
                }
            });
            Ok(there.buffered(READS).collect::<Vec<_>>().await)
        };
        let found = store.wait(LONG, looks)?;
        let child = |path: Path| {
            let last = path.parts().next_back()?.as_ref().to_owned();
            Some(match place {
                Place::Bucket(bucket) if bucket.prefix.is_empty() => {
                    Place::Bucket(Bucket { prefix: last, ..bucket.clone() })
                }
                Place::Bucket(bucket) => {
                    Place::Bucket(Bucket { prefix: format!("{}/{last}", bucket.prefix), ..bucket.clone() })
                }
                Place::Folder(folder) => Place::Folder(folder.join(last)),
                Place::File(_) | Place::Postgres(_) => return None,
            })
        };
        Ok(found.into_iter().flatten().filter_map(child).collect())
    }

    fn path(&self, name: &str) -> Path {
        joined(&self.prefix, name)
    }

    /// Waits for an answer, at the most so long, and tells what came of it.
    fn wait<T>(&self, at_most: Duration, work: impl Future<Output = Result<T, Error>>) -> Result<T, StoreFault> {
        self.wire.begin();
        let Some(runtime) = &self.runtime else {
            return Err(StoreFault::Passing("the program is ending".to_owned()));
        };
        match runtime.block_on(async { timeout(at_most, work).await }) {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(self.fault(&error)),
            Err(_elapsed) => Err(StoreFault::Passing(format!("there was no answer within {} s", at_most.as_secs()))),
        }
    }

    fn fault(&self, error: &Error) -> StoreFault {
        match self.maker {
            Maker::Folder => of_folder(error),
            Maker::S3(_) | Maker::Gcs(_) | Maker::Azure(_) => self.wire.fault(error),
        }
    }

    /// As [`Self::wait`], with nothing for what is absent.
    fn look<T>(
        &self,
        at_most: Duration,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<Option<T>, StoreFault> {
        self.wait(at_most, async {
            match work.await {
                Ok(found) => Ok(Some(found)),
                Err(Error::NotFound { .. }) if !self.wire.misses_bucket() => Ok(None),
                Err(other) => Err(other),
            }
        })
    }

    fn create_at(&self, path: &Path, bytes: &[u8]) -> Result<Created, StoreFault> {
        self.wait(TRY_FOR, create(&*self.appends, path, bytes.to_vec()))
    }

    /// One round: 16 creates of one new name at once.
    fn race(&self, racers: &[Arc<dyn ObjectStore>]) -> Result<(), StoreFault> {
        let path = self.path(&format!("probe-{}", uuid::Uuid::now_v7().simple()));
        let work = async {
            let tries = racers.iter().enumerate().map(|(racer, store)| {
                let (path, bytes) = (&path, format!("racer {racer}\n").into_bytes());
                async move { (racer, create(&**store, path, bytes).await) }
            });
            let ends = join_all(tries).await;
            let mut made = Vec::new();
            let mut error = None;
            for (racer, end) in ends {
                match end {
                    Ok(Created::Made) => made.push(racer),
                    Ok(Created::Refused) => {}
                    Err(fault) => error = Some(fault),
                }
            }
            let kept = match read(&*self.reads, &path).await {
                Ok((bytes, _mark)) => Some(bytes),
                Err(_) => None,
            };
            drop(self.reads.delete(&path).await);
            Ok((made, kept, error))
        };
        let (made, kept, error) = self.wait(LONG, work)?;
        if made.len() > 1 {
            return Err(StoreFault::Unusable(format!(
                "of {RACERS} that created one name at once {} were told that they did: this store does not keep the one \
                 promise that a ledger needs (to create a name only where it is absent); use another one",
                made.len()
            )));
        }
        if let Some(error) = error {
            return Err(self.fault(&error));
        }
        match (made.as_slice(), kept) {
            ([winner], Some(kept)) if kept == format!("racer {winner}\n").into_bytes() => Ok(()),
            ([_], Some(_)) => Err(StoreFault::Unusable(
                "the store kept other bytes than those of the one whose create it confirmed; use another one"
                    .to_owned(),
            )),
            ([_], None) => Err(StoreFault::Passing("what was just created could not be read".to_owned())),
            _ => Err(StoreFault::Unusable(format!(
                "none of {RACERS} that created one new name at once succeeded; use another store"
            ))),
        }
    }
}

impl Drop for Objects {
    fn drop(&mut self) {
        // What hangs in a folder must not hold the program up.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Store for Objects {
    fn name(&self) -> &str {
        &self.name
    }

    fn create(&mut self, object: &Object) -> Result<Created, StoreFault> {
        self.create_at(&self.path(&Object::name(object.number)), &object.bytes)
    }

    fn read(&mut self, number: u64) -> Result<Option<(Vec<u8>, String)>, StoreFault> {
        let path = self.path(&Object::name(number));
        self.look(TRY_FOR, read(&*self.reads, &path))
    }

    fn read_many(&mut self, first: u64, at_most: usize) -> Result<Vec<(Vec<u8>, String)>, StoreFault> {
        let (this, numbers) = (&*self, (first..).take(at_most));
        let work = async {
            let mut reads = stream::iter(numbers)
                .map(|number| async move { read(&*this.reads, &this.path(&Object::name(number))).await })
                .buffered(this.reads_at_once);
            let mut found = Vec::new();
            while let Some(next) = reads.next().await {
                match next {
                    Ok(object) => found.push(object),
                    Err(Error::NotFound { .. }) if !this.wire.misses_bucket() => break,
                    Err(other) => return Err(other),
                }
            }
            Ok(found)
        };
        this.wait(LONG, work)
    }

    fn list(&mut self) -> Result<Vec<Listed>, StoreFault> {
        let folder = self.path("log");
        let found = self.look(LONG, self.reads.list(Some(&folder)).try_collect::<Vec<_>>())?.unwrap_or_default();
        let listed = found.into_iter().filter_map(|meta| {
            let number = meta.location.filename()?.strip_suffix(".jsonl")?.parse().ok()?;
            // Something else of that ending is no object of the log.
            (meta.location == self.path(&Object::name(number))).then(|| Listed { number, mark: mark(meta.e_tag) })
        });
        let mut listed: Vec<Listed> = listed.collect();
        listed.sort_by_key(|object| object.number);
        Ok(listed)
    }

    fn told_time(&self) -> Option<(Timestamp, Timestamp)> {
        self.wire.told_time()
    }

    fn snapshot(&mut self, name: &str) -> Result<Option<Vec<u8>>, StoreFault> {
        let path = self.path(&format!("snapshot/{name}"));
        Ok(self.look(LONG, read(&*self.reads, &path))?.map(|(bytes, _mark)| bytes))
    }

    fn keep_snapshot(&mut self, name: &str, bytes: Vec<u8>) -> Result<bool, StoreFault> {
        let path = self.path(&format!("snapshot/{name}"));
        self.wait(LONG, self.reads.put(&path, PutPayload::from(bytes)))?;
        Ok(true)
    }

    fn probe(&mut self, rounds: u32) -> Result<(), StoreFault> {
        if rounds == 0 {
            let path = self.path("probe");
            // Where it was deleted it is made anew, and then it is there.
            let refused =
                self.create_at(&path, PROBE)? == Created::Refused || self.create_at(&path, PROBE)? == Created::Refused;
            return if refused { Ok(()) } else { Err(StoreFault::Unusable(IGNORES.to_owned())) };
        }
        let racers = {
            let _inside = self.runtime.as_ref().map(Runtime::enter);
            (0..RACERS).map(|_| self.maker.appends(&self.wire)).collect::<Result<Vec<_>, _>>()?
        };
        let (mut done, mut spare) = (0, SPARE_ROUNDS);
        while done < rounds {
            match self.race(&racers) {
                Ok(()) => done += 1,
                Err(StoreFault::Passing(_)) if spare > 0 => spare -= 1,
                Err(fault) => return Err(fault),
            }
        }
        self.probe(0)
    }
}

/// What stands in `PREFIX/probe`.
const PROBE: &[u8] = b"onboard creates this name again at each start, and must be refused\n";

/// What is told of a store that lets a name be created twice.
const IGNORES: &str = "it lets a name be created that is there already, and so does not keep the one promise that a \
                       ledger needs; use another store";

async fn create(store: &dyn ObjectStore, path: &Path, bytes: Vec<u8>) -> Result<Created, Error> {
    let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
    match store.put_opts(path, PutPayload::from(bytes), options).await {
        Ok(_) => Ok(Created::Made),
        Err(Error::AlreadyExists { .. }) => Ok(Created::Refused),
        Err(other) => Err(other),
    }
}

async fn read(store: &dyn ObjectStore, path: &Path) -> Result<(Vec<u8>, String), Error> {
    let found = store.get(path).await?;
    let mark = mark(found.meta.e_tag.clone());
    Ok((found.bytes().await?.to_vec(), mark))
}

/// An `ETag` as every kind of answer writes it: without its quotes.
fn mark(tag: Option<String>) -> String {
    let tag = tag.unwrap_or_default();
    tag.trim_start_matches("W/").trim_matches('"').to_owned()
}

fn joined(prefix: &Path, name: &str) -> Path {
    let parts = prefix.parts().map(|part| part.as_ref().to_owned());
    // The parts are as they are stored already.
    let whole: Vec<String> = parts.chain(name.split('/').map(str::to_owned)).collect();
    Path::parse(whole.join("/")).unwrap_or_else(|_unusual| Path::from(name))
}

fn prefix_path(prefix: &str) -> Result<Path, StoreFault> {
    Path::parse(prefix).map_err(|_told_in_words| {
        StoreFault::Unusable("the prefix holds characters that no object's name may have".to_owned())
    })
}

fn folder_path(folder: &FilePath) -> Result<Path, StoreFault> {
    let whole = std::path::absolute(folder)
        .map_err(|why| StoreFault::Unusable(format!("the folder cannot be found: {why}")))?;
    Path::from_absolute_path(whole).map_err(|_told_in_words| {
        StoreFault::Unusable("the folder's path holds characters that no object's name may have".to_owned())
    })
}

fn of_folder(error: &Error) -> StoreFault {
    use std::io::ErrorKind;
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(this) = cause {
        if let Some(why) = this.downcast_ref::<std::io::Error>() {
            return match why.kind() {
                ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => StoreFault::Unusable(format!(
                    "the folder may not be read or written by who runs this ({why}); give them the right to it"
                )),
                ErrorKind::Unsupported => StoreFault::Unusable(format!(
                    "the folder's file system knows no hard links, by which objects are created ({why}); use another"
                )),
                ErrorKind::NotADirectory => StoreFault::Unusable("a file is in the way of the folder".to_owned()),
                _ => StoreFault::Passing(format!("the folder cannot be used now: {why}")),
            };
        }
        cause = this.source();
    }
    StoreFault::Passing("the folder cannot be used now".to_owned())
}

/// What is told of a plain endpoint.
const IN_THE_CLEAR: &str = "its endpoint is http://, and the ledger would travel in the clear; use https://, or say \
                            AWS_ALLOW_HTTP=true (AZURE_ALLOW_HTTP, GOOGLE_ALLOW_HTTP) where nobody else is on the way";

impl Maker {
    fn of(bucket: &Bucket, variables: &Variables) -> Result<Self, StoreFault> {
        let of = |world: &str| {
            let world = world.to_owned();
            let set = variables.iter().filter(move |(name, value)| name.starts_with(&world) && !value.is_empty());
            set.map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
        };
        let plain = |endpoint: Option<String>, allowed: Option<String>| -> Result<bool, StoreFault> {
            let endpoint = endpoint.unwrap_or_default();
            let is_plain = endpoint.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http://"));
            let host = reqwest::Url::parse(&endpoint).ok().and_then(|url| url.host_str().map(str::to_owned));
            let is_near = host.is_some_and(|host| is_loopback(&host));
            if is_plain && !is_near && allowed.as_deref() != Some("true") {
                return Err(StoreFault::Unusable(IN_THE_CLEAR.to_owned()));
            }
            Ok(is_plain)
        };
        let allow = ClientConfigKey::AllowHttp;
        let said = |name: &str| variables.get(name).map(|value| value.to_ascii_lowercase());
        Ok(match bucket.cloud {
            Cloud::S3 => {
                let builder = of("AWS_").fold(AmazonS3Builder::new(), |builder, (name, value)| {
                    name.parse().map(|key| builder.clone().with_config(key, value)).unwrap_or(builder)
                });
                let endpoint = builder
                    .get_config_value(&AmazonS3ConfigKey::S3Endpoint)
                    .or_else(|| builder.get_config_value(&AmazonS3ConfigKey::Endpoint));
                let plain = plain(endpoint, said("AWS_ALLOW_HTTP"))?;
                Self::S3(
                    builder
                        .with_bucket_name(&bucket.bucket)
                        .with_conditional_put(S3ConditionalPut::ETagMatch)
                        .with_config(AmazonS3ConfigKey::Client(allow), plain.to_string()),
                )
            }
            Cloud::Gcs => {
                let builder = of("GOOGLE_").fold(GoogleCloudStorageBuilder::new(), |builder, (name, value)| {
                    name.parse().map(|key| builder.clone().with_config(key, value)).unwrap_or(builder)
                });
                let endpoint = builder.get_config_value(&GoogleConfigKey::BaseUrl);
                let plain = plain(endpoint, said("GOOGLE_ALLOW_HTTP"))?;
                Self::Gcs(
                    builder
                        .with_bucket_name(&bucket.bucket)
                        .with_config(GoogleConfigKey::Client(allow), plain.to_string()),
                )
            }
            Cloud::Azure => {
                let builder = of("AZURE_").fold(MicrosoftAzureBuilder::new(), |builder, (name, value)| {
                    name.parse().map(|key| builder.clone().with_config(key, value)).unwrap_or(builder)
                });
                let endpoint = builder.get_config_value(&AzureConfigKey::Endpoint);
                let plain = plain(endpoint, said("AZURE_ALLOW_HTTP"))?;
                Self::Azure(
                    builder
                        .with_container_name(&bucket.bucket)
                        .with_config(AzureConfigKey::Client(allow), plain.to_string()),
                )
            }
        })
    }

    /// A client that may try again, and how others are made that share its credentials.
    fn reads(self, wire: &Wire) -> Result<(Arc<dyn ObjectStore>, Self), StoreFault> {
        let retry = RetryConfig {
            backoff: BackoffConfig {
                init_backoff: Duration::from_millis(100),
                max_backoff: Duration::from_secs(2),
                base: 2.,
            },
            max_retries: 3,
            retry_timeout: Duration::from_secs(6),
        };
        Ok(match self {
            Self::Folder => (Arc::new(LocalFileSystem::new().with_fsync(true)), Self::Folder),
            Self::S3(builder) => {
                let client = builder.clone().with_retry(retry).with_http_connector(wire.clone());
                let client = client.build().map_err(|error| unbuilt(&error, "AWS_"))?;
                let credentials = Arc::clone(client.credentials());
                (Arc::new(client), Self::S3(builder.with_credentials(credentials)))
            }
            Self::Gcs(builder) => {
                let client = builder.clone().with_retry(retry).with_http_connector(wire.clone());
                let client = client.build().map_err(|error| unbuilt(&error, "GOOGLE_"))?;
                let credentials = Arc::clone(client.credentials());
                (Arc::new(client), Self::Gcs(builder.with_credentials(credentials)))
            }
            Self::Azure(builder) => {
                let client = builder.clone().with_retry(retry).with_http_connector(wire.clone());
                let client = client.build().map_err(|error| unbuilt(&error, "AZURE_"))?;
                let credentials = Arc::clone(client.credentials());
                (Arc::new(client), Self::Azure(builder.with_credentials(credentials)))
            }
        })
    }

    /// A client that tries once, over connections of its own.
    fn appends(&self, wire: &Wire) -> Result<Arc<dyn ObjectStore>, StoreFault> {
        let once = RetryConfig { max_retries: 0, ..RetryConfig::default() };
        let limit = format!("{}s", TRY_FOR.as_secs());
        let key = ClientConfigKey::Timeout;
        Ok(match self {
            Self::Folder => Arc::new(LocalFileSystem::new().with_fsync(true)),
            Self::S3(builder) => {
                let builder = builder.clone().with_config(AmazonS3ConfigKey::Client(key), limit);
                let client = builder.with_retry(once).with_http_connector(wire.clone()).build();
                Arc::new(client.map_err(|error| unbuilt(&error, "AWS_"))?)
            }
            Self::Gcs(builder) => {
                let builder = builder.clone().with_config(GoogleConfigKey::Client(key), limit);
                let client = builder.with_retry(once).with_http_connector(wire.clone()).build();
                Arc::new(client.map_err(|error| unbuilt(&error, "GOOGLE_"))?)
            }
            Self::Azure(builder) => {
                let builder = builder.clone().with_config(AzureConfigKey::Client(key), limit);
                let client = builder.with_retry(once).with_http_connector(wire.clone()).build();
                Arc::new(client.map_err(|error| unbuilt(&error, "AZURE_"))?)
            }
        })
    }
}

/// Why a client could not be made. The library's own words may quote a secret, so they are only looked at.
fn unbuilt(error: &Error, world: &str) -> StoreFault {
    let said = error.to_string();
    let what = match world {
        _ if said.contains("Account must be specified") => "the account is not named: set AZURE_STORAGE_ACCOUNT_NAME",
        "AWS_" if said.contains("AccessKeyId") => "AWS_SECRET_ACCESS_KEY is set, and AWS_ACCESS_KEY_ID is not",
        "AWS_" if said.contains("SecretAccessKey") => "AWS_ACCESS_KEY_ID is set, and AWS_SECRET_ACCESS_KEY is not",
        "AWS_" => "a setting of the environment that begins with AWS_ cannot be used; look at each",
        "GOOGLE_" => {
            "the credentials cannot be used; look at GOOGLE_APPLICATION_CREDENTIALS, which names a file of a service \
             account or a user (one of a workload identity pool is not understood)"
        }
        _ => "a setting of the environment that begins with AZURE_ cannot be used; look at each",
    };
    StoreFault::Unusable(what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lie_below_the_prefix() {
        let below = |prefix: &str| joined(&prefix_path(prefix).expect("a prefix"), &Object::name(7)).to_string();
        assert_eq!(below("onboard/a b"), "onboard/a b/log/00000000000000000007.jsonl");
        assert_eq!(below(""), "log/00000000000000000007.jsonl");
        let folder = folder_path(FilePath::new("/var/l")).expect("a folder");
        assert_eq!(joined(&folder, "probe").to_string(), "var/l/probe");
    }

    #[test]
    fn a_mark_is_one_in_every_answer() {
        for tag in ["\"0x8D\"", "0x8D", "W/\"0x8D\""] {
            assert_eq!(mark(Some(tag.to_owned())), "0x8D");
        }
    }
}
