//! The steps of the matrix with the AWS SDK for Rust.

use std::{collections::BTreeMap, path::Path, time::Duration};

use aws_sdk_s3::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    operation::{
        RequestId as _,
        get_object::{GetObjectError, builders::GetObjectFluentBuilder},
        put_object::builders::PutObjectFluentBuilder,
    },
    presigning::PresigningConfig,
    primitives::ByteStream,
    types::{
        BucketVersioningStatus, ChecksumMode, CompletedMultipartUpload, CompletedPart, Delete, ObjectIdentifier, Tag,
        Tagging, VersioningConfiguration,
    },
};
use serde_json::{Value, json};

type Failure = Box<dyn std::error::Error>;
type Result<T> = std::result::Result<T, Failure>;

struct Matrix {
    s3: Client,
    sts: aws_sdk_sts::Client,
    bucket: String,
    keys: Vec<String>,
}

/// Ends a step unless both are the same.
macro_rules! same {
    ($got:expr, $wanted:expr) => {{
        let (got, wanted) = (&$got, &$wanted);
        if got != wanted {
            return Err(format!("line {}: {:.300?} is not {:.300?}", line!(), got, wanted).into());
        }
    }};
}

/// The whole chain of an error: the SDK's own display ends with its outermost link.
fn told(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text = format!("{text}: {error}");
        next = error.source();
    }
    text
}

fn variable(name: &str) -> Result<String> {
    Ok(std::env::var(name).map_err(|_| format!("`{name}` is not set"))?)
}

/// Status and code of the error that a call is refused with.
fn refused<T, E: ProvideErrorMetadata>(result: std::result::Result<T, SdkError<E>>) -> Result<(u16, String)> {
    match result {
        Err(SdkError::ServiceError(error)) => Ok((
            error.raw().status().as_u16(),
            error.err().code().unwrap_or_default().to_owned(),
        )),
        Err(_) => Err("the call did not get as far as an answer".into()),
        Ok(_) => Err("nothing was refused".into()),
    }
}

fn code(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

/// Bytes that look random and are the same in every run.
fn content(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.flatten().take(length).collect()
}

impl Matrix {
    async fn new() -> Result<Self> {
        let config = aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await;
        Ok(Self {
            s3: Client::new(&config),
            sts: aws_sdk_sts::Client::new(&config),
            bucket: variable("MATRIX_BUCKET")?,
            keys: serde_json::from_slice(&std::fs::read(variable("MATRIX_KEYS")?)?)?,
        })
    }

    fn put(&self, key: &str, body: impl Into<ByteStream>) -> PutObjectFluentBuilder {
        self.s3.put_object().bucket(&self.bucket).key(key).body(body.into())
    }

    fn get(&self, key: &str) -> GetObjectFluentBuilder {
        self.s3.get_object().bucket(&self.bucket).key(key)
    }

    async fn read(request: GetObjectFluentBuilder) -> Result<Vec<u8>> {
        Ok(request.send().await?.body.collect().await?.to_vec())
    }

    async fn step(&self, step: &str) -> Result<Value> {
        match step {
            "identity" => self.identity().await,
            "refresh" => self.refresh().await,
            "objects" => self.objects().await,
            "multipart" => self.multipart().await,
            "presigned-get" => self.presigned_get().await,
            "presigned-put" => self.presigned_put().await,
            "denial" => self.denial().await,
            "buckets" => self.buckets().await,
            "conditional" => self.conditional().await,
            "listing" => self.listing().await,
            "delete-several" => self.delete_several().await,
            "tagging" => self.tagging().await,
            "versions" => self.versions().await,
            _ => Err("there is no such step".into()),
        }
    }

    async fn identity(&self) -> Result<Value> {
        let answer = self.sts.get_caller_identity().send().await?;
        let version = aws_sdk_s3::meta::PKG_VERSION;
        Ok(json!({"account": answer.account(), "arn": answer.arn(), "userId": answer.user_id(), "version": version}))
    }

    async fn refresh(&self) -> Result<Value> {
        for _ in 0..3 {
            self.sts.get_caller_identity().send().await?;
        }
        Ok(json!({}))
    }

    async fn objects(&self) -> Result<Value> {
        let every: Vec<u8> = (0..=u8::MAX).collect();
        for key in &self.keys {
            let content = [key.as_bytes(), &every].concat();
            let put = self.put(key, content.clone());
            put.metadata("team", "blue")
                .content_type("text/x-matrix")
                .send()
                .await?;
            let got = self.get(key).send().await?;
            let team = got.metadata().and_then(|metadata| metadata.get("team"));
            same!(team.map(String::as_str), Some("blue"));
            same!(got.content_type(), Some("text/x-matrix"));
            same!(got.body.collect().await?.to_vec(), content);
        }
        // A stream: the checksum comes behind the body.
        let content = content(1 << 20);
        std::fs::write("content", &content)?;
        let stream = ByteStream::from_path(Path::new("content")).await?;
        self.put("streamed", stream).send().await?;
        same!(Self::read(self.get("streamed")).await?, content);
        self.put("empty", Vec::new()).send().await?;
        same!(Self::read(self.get("empty")).await?.len(), 0);
        let head = self.s3.head_object().bucket(&self.bucket).key("streamed");
        let head = head.checksum_mode(ChecksumMode::Enabled).send().await?;
        let checksums = [
            ("CRC32", head.checksum_crc32()),
            ("CRC32C", head.checksum_crc32_c()),
            ("CRC64NVME", head.checksum_crc64_nvme()),
            ("SHA1", head.checksum_sha1()),
            ("SHA256", head.checksum_sha256()),
        ];
        let checksums: Vec<_> = checksums.iter().filter(|(_, sum)| sum.is_some()).collect();
        same!(checksums.len(), 1);
        let part = self.get("streamed").range("bytes=1000-1999");
        same!(Self::read(part).await?, content[1000..2000]);
        self.s3
            .delete_object()
            .bucket(&self.bucket)
            .key("streamed")
            .send()
            .await?;
        let missing = self
            .get("streamed")
            .send()
            .await
            .err()
            .ok_or("the object is still there")?;
        same!(
            matches!(missing.into_service_error(), GetObjectError::NoSuchKey(_)),
            true
        );
        Ok(json!({"checksum": checksums[0].0}))
    }

    /// By hand: the SDK itself has no transfer manager.
    async fn multipart(&self) -> Result<Value> {
        let (bucket, key) = (&self.bucket, "in parts");
        let content = content((17 << 20) + 7);
        let upload = self.s3.create_multipart_upload().bucket(bucket).key(key).send().await?;
        let id = upload.upload_id().ok_or("no upload id")?;
        let mut parts = Vec::new();
        for (number, data) in (1..).zip(content.chunks(6 << 20)) {
            let part = self
                .s3
                .upload_part()
                .bucket(bucket)
                .key(key)
                .upload_id(id)
                .part_number(number);
            let part = part.body(data.to_vec().into()).send().await?;
            let done = CompletedPart::builder().part_number(number).set_e_tag(part.e_tag);
            parts.push(done.set_checksum_crc32(part.checksum_crc32).build());
        }
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let complete = self
            .s3
            .complete_multipart_upload()
            .bucket(bucket)
            .key(key)
            .upload_id(id);
        let done = complete.multipart_upload(parts).send().await?;
        same!(done.e_tag().is_some_and(|tag| tag.ends_with("-3\"")), true);
        same!(Self::read(self.get(key)).await?, content);
        let copy = self.s3.copy_object().bucket(bucket).key("copied");
        copy.copy_source(format!("{bucket}/in%20parts")).send().await?;
        same!(Self::read(self.get("copied")).await?, content);
        Ok(json!({}))
    }

    async fn presigned_get(&self) -> Result<Value> {
        let key = variable("MATRIX_PRESIGNED_GET")?;
        let content = variable("MATRIX_PRESIGNED_CONTENT")?;
        self.put(&key, content.into_bytes()).send().await?;
        let validity = PresigningConfig::expires_in(Duration::from_secs(3600))?;
        Ok(json!({"url": self.get(&key).presigned(validity).await?.uri()}))
    }

    async fn presigned_put(&self) -> Result<Value> {
        let key = variable("MATRIX_PRESIGNED_PUT")?;
        let validity = PresigningConfig::expires_in(Duration::from_secs(3600))?;
        let put = self.s3.put_object().bucket(&self.bucket).key(key);
        Ok(json!({"url": put.presigned(validity).await?.uri()}))
    }

    async fn denial(&self) -> Result<Value> {
        let put = self.s3.put_object().bucket(variable("MATRIX_FORBIDDEN")?).key("key");
        match put.body(b"content".to_vec().into()).send().await {
            Err(SdkError::ServiceError(error)) => {
                same!(error.raw().status().as_u16(), 403);
                same!(error.err().code(), Some("AccessDenied"));
                Ok(json!({"requestId": error.err().meta().request_id(), "message": error.err().message()}))
            }
            Err(error) => Err(error.into()),
            Ok(_) => Err("nothing was denied".into()),
        }
    }

    async fn buckets(&self) -> Result<Value> {
        let bucket = format!("{}-made", self.bucket);
        self.s3.create_bucket().bucket(&bucket).send().await?;
        self.s3.head_bucket().bucket(&bucket).send().await?;
        let all = self.s3.list_buckets().send().await?;
        same!(all.buckets().iter().any(|found| found.name() == Some(&bucket)), true);
        self.s3.put_object().bucket(&bucket).key("key").send().await?;
        let delete = || self.s3.delete_bucket().bucket(&bucket).send();
        same!(refused(delete().await)?, code(409, "BucketNotEmpty"));
        self.s3.delete_object().bucket(&bucket).key("key").send().await?;
        delete().await?;
        let list = self.s3.list_objects_v2().bucket(&bucket).send().await;
        same!(refused(list)?, code(404, "NoSuchBucket"));
        Ok(json!({}))
    }

    async fn conditional(&self) -> Result<Value> {
        let key = "conditional";
        let put = |content: &str| self.put(key, content.as_bytes().to_vec());
        let tag = |tag: Option<String>| tag.ok_or("no entity tag");
        let lost = code(412, "PreconditionFailed");
        let first = tag(put("first").if_none_match("*").send().await?.e_tag)?;
        same!(refused(put("second").if_none_match("*").send().await)?, lost);
        let second = tag(put("second").if_match(&first).send().await?.e_tag)?;
        same!(refused(put("third").if_match(&first).send().await)?, lost);
        let unchanged = self.get(key).if_none_match(&second).send().await;
        same!(refused(unchanged)?.0, 304);
        same!(refused(self.get(key).if_match(&first).send().await)?, lost);
        same!(Self::read(self.get(key).if_match(&second)).await?, b"second");
        Ok(json!({}))
    }

    async fn listed(&self, prefix: &str) -> Result<Vec<String>> {
        let list = self
            .s3
            .list_objects_v2()
            .bucket(&self.bucket)
            .prefix(prefix)
            .max_keys(7);
        let mut pages = list.into_paginator().send();
        let mut names = Vec::new();
        while let Some(page) = pages.next().await {
            names.extend(page?.contents().iter().filter_map(|item| item.key().map(str::to_owned)));
        }
        Ok(names)
    }

    async fn listing(&self) -> Result<Value> {
        let numbers = (0..20).map(|number| format!("list/{number:02}"));
        let mut names: Vec<String> = self
            .keys
            .iter()
            .map(|key| format!("list/{key}"))
            .chain(numbers)
            .collect();
        names.sort();
        let mut folders = Vec::new();
        for name in &names {
            self.put(name, Vec::new()).send().await?;
            let mut parts = name.splitn(3, '/');
            if let (Some(first), Some(second), Some(_)) = (parts.next(), parts.next(), parts.next()) {
                folders.push(format!("{first}/{second}/"));
            }
        }
        folders.dedup();
        same!(self.listed("list/").await?, names);
        let list = self.s3.list_objects_v2().bucket(&self.bucket);
        let page = list.prefix("list/").delimiter("/").send().await?;
        let found: Vec<_> = page
            .common_prefixes()
            .iter()
            .filter_map(|folder| folder.prefix())
            .collect();
        same!(found, folders);
        Ok(json!({}))
    }

    async fn delete_several(&self) -> Result<Value> {
        let mut names: Vec<String> = self.keys.iter().map(|key| format!("several/{key}")).collect();
        let mut several = Delete::builder();
        for name in &names {
            self.put(name, Vec::new()).send().await?;
            several = several.objects(ObjectIdentifier::builder().key(name).build()?);
        }
        let delete = self.s3.delete_objects().bucket(&self.bucket);
        let answer = delete.delete(several.build()?).send().await?;
        let mut deleted: Vec<_> = answer.deleted().iter().filter_map(|item| item.key()).collect();
        deleted.sort_unstable();
        names.sort();
        same!(deleted, names);
        same!(answer.errors().len(), 0);
        same!(self.listed("several/").await?.len(), 0);
        Ok(json!({}))
    }

    async fn tagging(&self) -> Result<Value> {
        let (bucket, key) = (&self.bucket, "tagged");
        let tags = async || {
            let answer = self.s3.get_object_tagging().bucket(bucket).key(key).send().await?;
            let pairs = answer.tag_set.into_iter().map(|tag| (tag.key, tag.value));
            Ok::<BTreeMap<String, String>, Failure>(pairs.collect())
        };
        let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs
                .iter()
                .map(|&(key, value)| (key.to_owned(), value.to_owned()))
                .collect()
        };
        self.put(key, Vec::new()).tagging("team=blue&what=a%20b").send().await?;
        same!(tags().await?, map(&[("team", "blue"), ("what", "a b")]));
        let set = Tagging::builder().tag_set(Tag::builder().key("größe").value("1+1 = 2").build()?);
        self.s3
            .put_object_tagging()
            .bucket(bucket)
            .key(key)
            .tagging(set.build()?)
            .send()
            .await?;
        same!(tags().await?, map(&[("größe", "1+1 = 2")]));
        same!(self.get(key).send().await?.tag_count(), Some(1));
        self.s3.delete_object_tagging().bucket(bucket).key(key).send().await?;
        same!(tags().await?.len(), 0);
        Ok(json!({}))
    }

    async fn versions(&self) -> Result<Value> {
        let (bucket, key) = (format!("{}-versions", self.bucket), "a key");
        self.s3.create_bucket().bucket(&bucket).send().await?;
        let enabled = VersioningConfiguration::builder()
            .status(BucketVersioningStatus::Enabled)
            .build();
        let set = self.s3.put_bucket_versioning().bucket(&bucket);
        set.versioning_configuration(enabled).send().await?;
        let status = self.s3.get_bucket_versioning().bucket(&bucket).send().await?;
        same!(status.status(), Some(&BucketVersioningStatus::Enabled));
        let mut made = Vec::new();
        for content in ["first", "second"] {
            let put = self.put(key, content.as_bytes().to_vec()).bucket(&bucket);
            made.push(put.send().await?.version_id.ok_or("no version id")?);
        }
        let delete = || self.s3.delete_object().bucket(&bucket).key(key);
        let marker = delete().send().await?;
        same!(marker.delete_marker(), Some(true));
        let get = || self.get(key).bucket(&bucket);
        same!(refused(get().send().await)?, code(404, "NoSuchKey"));
        same!(Self::read(get().version_id(&made[0])).await?, b"first");
        let page = self.s3.list_object_versions().bucket(&bucket).send().await?;
        let found: Vec<_> = page
            .versions()
            .iter()
            .rev()
            .filter_map(|version| version.version_id())
            .collect();
        same!(found, made);
        let markers: Vec<_> = page
            .delete_markers()
            .iter()
            .map(|version| version.version_id())
            .collect();
        same!(markers, [marker.version_id()]);
        delete().set_version_id(marker.version_id).send().await?;
        same!(Self::read(get()).await?, b"second");
        Ok(json!({}))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let matrix = Matrix::new().await?;
    for step in std::env::args().skip(1) {
        let mut line = json!({"step": step, "result": "pass"});
        match matrix.step(&step).await {
            Ok(found) => {
                for (name, value) in found.as_object().into_iter().flatten() {
                    line[name] = value.clone();
                }
            }
            Err(error) => line = json!({"step": step, "result": "fail", "reason": told(&*error)}),
        }
        println!("{line}");
    }
    Ok(())
}
