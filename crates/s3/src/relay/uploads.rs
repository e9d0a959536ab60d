//! Ids of multipart uploads in a store's answers.

use std::borrow::Cow;

use bytes::Bytes;
use percent_encoding::percent_decode_str;
use s3s::xml::{DeResult, Deserializer};

use super::{skip, text};
use crate::front::escape;

/// Elements that hold an id.
const IDS: [&str; 3] = ["UploadId", "UploadIdMarker", "NextUploadIdMarker"];

/// Writes other ids into an answer that names uploads: `rename` is given a key and the id of an upload to it. `key` is the key of the
/// request; in a list each upload has its own. An id that is empty is none. `None`: the answer can't be read.
#[must_use]
pub fn rename_uploads(document: &[u8], key: Option<&str>, rename: impl Fn(&str, &str) -> String) -> Option<Bytes> {
    let found = match key {
        Some(key) => vec![(IDS[0], key.to_owned(), id_of_answer(document)?)],
        None => ids_of_list(document)?,
    };
    let document = std::str::from_utf8(document).ok()?;
    let mut renamed = Cow::Borrowed(document);
    for name in IDS {
        let of_name = found.iter().filter(|(of, _, id)| *of == name && !id.is_empty());
        let ids = of_name.map(|(_, key, id)| (id.as_str(), rename(key, id)));
        renamed = Cow::Owned(replace(&renamed, name, ids)?);
    }
    Some(renamed.into_owned().into())
}

/// Replaces the texts of all elements of this name that have one: as many as were read, and those that were read.
fn replace<'a>(document: &str, name: &str, mut ids: impl Iterator<Item = (&'a str, String)>) -> Option<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut written = String::with_capacity(document.len().saturating_add(4096));
    let mut rest = document;
    while let Some((before, after)) = rest.split_once(&open) {
        let (old, behind) = after.split_once(&close)?;
        written.push_str(before);
        written.push_str(&open);
        if !old.is_empty() {
            let (read, new) = ids.next()?;
            // Another place than that which was read, such as a comment, or the same in another form.
            if old != read && old != escape(read) {
                return None;
            }
            written.push_str(&escape(&new));
        }
        written.push_str(&close);
        rest = behind;
    }
    written.push_str(rest);
    ids.next().is_none().then_some(written)
}

/// The one id of an answer that is about one upload.
fn id_of_answer(document: &[u8]) -> Option<String> {
    let mut id = None;
    let mut reader = Deserializer::new(document);
    let read = reader.for_each_element(|reader, _| {
        reader.for_each_element(|reader, name| match name {
            b"UploadId" if id.is_none() => {
                id = Some(text(reader)?);
                Ok(())
            }
            _ => skip(reader, 0),
        })
    });
    read.ok()?;
    id.filter(|id| !id.is_empty())
}

/// All ids of a list, each with its key.
fn ids_of_list(document: &[u8]) -> Option<Vec<(&'static str, String, String)>> {
    let (mut uploads, mut is_encoded) = (Vec::new(), false);
    let (mut marker, mut next) = ((String::new(), String::new()), (String::new(), String::new()));
    let mut reader = Deserializer::new(document);
    reader
        .named_element("ListMultipartUploadsResult", |reader| {
            reader.for_each_element(|reader, name| {
                match name {
                    b"EncodingType" => is_encoded = text(reader)?.eq_ignore_ascii_case("url"),
                    b"KeyMarker" => marker.0 = text(reader)?,
                    b"UploadIdMarker" => marker.1 = text(reader)?,
                    b"NextKeyMarker" => next.0 = text(reader)?,
                    b"NextUploadIdMarker" => next.1 = text(reader)?,
                    b"Upload" => uploads.push(upload(reader)?),
                    _ => skip(reader, 0)?,
                }
                Ok(())
            })
        })
        .ok()?;
    let mut found: Vec<_> = uploads.into_iter().map(|(key, id)| (IDS[0], key, id)).collect();
    found.extend([(IDS[1], marker.0, marker.1), (IDS[2], next.0, next.1)]);
    if is_encoded {
        for (_, key, _) in &mut found {
            // As a form is encoded: a plus is a blank.
            let spaced = key.replace('+', " ");
            *key = percent_decode_str(&spaced).decode_utf8().ok()?.into_owned();
        }
    }
    Some(found)
}

fn upload(reader: &mut Deserializer<'_>) -> DeResult<(String, String)> {
    let (mut key, mut id) = (String::new(), String::new());
    reader.for_each_element(|reader, name| {
        match name {
            b"Key" => key = text(reader)?,
            b"UploadId" => id = text(reader)?,
            _ => skip(reader, 0)?,
        }
        Ok(())
    })?;
    Ok((key, id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renamed(document: &str, key: Option<&str>) -> Option<String> {
        let renamed = rename_uploads(document.as_bytes(), key, |key, id| format!("[{key}|{id}]"))?;
        Some(String::from_utf8(renamed.to_vec()).unwrap())
    }

    #[test]
    fn an_answer_about_one_upload() {
        let answer = r#"<?xml version="1.0"?><InitiateMultipartUploadResult xmlns="x"><Bucket>b</Bucket><Key>a&amp;b</Key><UploadId>u&amp;1</UploadId></InitiateMultipartUploadResult>"#;
        assert_eq!(
            renamed(answer, Some("k")).unwrap(),
            answer.replace("u&amp;1", "[k|u&amp;1]")
        );
        for wrong in [
            "",
            "<InitiateMultipartUploadResult><UploadId></UploadId></InitiateMultipartUploadResult>",
            "<X><UploadId>a</UploadId><UploadId>b</UploadId></X>",
            "<X><!-- <UploadId>b</UploadId> --><UploadId>a</UploadId></X>",
            "<X><UploadId><![CDATA[a]]></UploadId></X>",
            "<html>",
        ] {
            assert_eq!(renamed(wrong, Some("k")), None, "{wrong}");
        }
    }

    #[test]
    fn a_list_of_uploads() {
        let list = "<ListMultipartUploadsResult><EncodingType>url</EncodingType><KeyMarker>a%2Fb+c</KeyMarker><UploadIdMarker>u0</UploadIdMarker>\
            <NextKeyMarker>z</NextKeyMarker><NextUploadIdMarker>u2</NextUploadIdMarker>\
            <Upload><UploadId>u1</UploadId><Key>%3CUploadId%3E</Key><Owner><ID>o</ID></Owner></Upload>\
            <Upload><Key>z</Key><UploadId>u2</UploadId></Upload></ListMultipartUploadsResult>";
        let expected = list
            .replace(">u0<", ">[a/b c|u0]<")
            .replace(">u1<", ">[&lt;UploadId&gt;|u1]<")
            .replace(">u2<", ">[z|u2]<");
        assert_eq!(renamed(list, None).unwrap(), expected);
        let plain = list.replace("<EncodingType>url</EncodingType>", "");
        assert!(renamed(&plain, None).unwrap().contains("[a%2Fb+c|u0]"));
        let last = "<ListMultipartUploadsResult><UploadIdMarker/><NextUploadIdMarker></NextUploadIdMarker></ListMultipartUploadsResult>";
        assert_eq!(renamed(last, None).unwrap(), last);
        assert_eq!(renamed("<ListBucketResult></ListBucketResult>", None), None);
    }
}
