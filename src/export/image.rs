//! A whole image: each layer is rewritten, and whatever names a layer by its digest names the new one.
//!
//! A layer in which nothing changes stays byte for byte, so that registries know it again. An image in which none does
//! stays what it is.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufWriter, Seek};
use std::path::Path;

use serde_json::Value;

use super::blob::{self, Press, Span, Squeeze, Tally};
use super::layer::Layer;
use super::output;
use super::report::Report;
use super::shelf::{Rack, Shelf};
use super::stack::{Stack, Surface};

/// The files that an image in OCI's layout has at its top.
pub(super) const LAYOUT: &str = "oci-layout";
pub(super) const INDEX: &str = "index.json";
/// The file that one of docker's has.
pub(super) const MANIFEST: &str = "manifest.json";
/// Notes beside a layer that tell where in its compressed form a file is.
const ABOUT_FORM: [&str; 4] = [
    "io.github.containers.zstd-chunked",
    "io.containers.zstd-chunked",
    "io.containers.estargz",
    "containerd.io/snapshot/stargz",
];
/// Most indexes in one another.
const DEEPEST: usize = 8;

/// An image on its way.
pub(super) struct Image<'a> {
    pub(super) shelf: &'a Shelf,
    pub(super) rack: Rack<'a>,
    pub(super) report: &'a mut Report,
    /// What the new image will stand at: temporary files are in the same directory.
    pub(super) out: &'a Path,
    /// What was made of images, by their configuration and layers.
    made: HashMap<(Vec<String>, bool), Made>,
    /// Digests of the manifests and indexes that were looked at.
    met: HashSet<String>,
    /// New digests and sizes by old digests.
    digests: HashMap<String, (String, u64)>,
}

/// What was made of an image.
#[derive(Debug, Clone)]
struct Made {
    /// The new configuration, unless it stays.
    config: Option<Blob>,
    /// The new layers, unless they stay.
    layers: Vec<Option<Blob>>,
}

/// A new file.
#[derive(Debug, Clone)]
struct Blob {
    name: String,
    digest: String,
    size: u64,
    /// The digest of what it stands for.
    content: String,
    squeeze: Squeeze,
}

impl<'a> Image<'a> {
    pub(super) fn new(shelf: &'a Shelf, rack: Rack<'a>, report: &'a mut Report, out: &'a Path) -> Image<'a> {
        Image { shelf, rack, report, out, made: HashMap::new(), met: HashSet::new(), digests: HashMap::new() }
    }

    /// Writes the new image.
    pub(super) fn rewrite(mut self) -> io::Result<()> {
        if self.is_layout() {
            self.copy(LAYOUT)?;
            let mut index = parse(INDEX, &self.shelf.read(INDEX)?)?;
            self.manifests(&mut index, 0)?;
            self.rename(&mut index);
            self.rack.add_bytes(INDEX, &text(&index)?)?;
        }
        if self.shelf.has(MANIFEST) {
            let bytes = self.shelf.read(MANIFEST)?;
            if !self.is_layout() && !is_list(&bytes) {
                return Err(malformed("manifest.json lists no image"));
            }
            let mut list = parse(MANIFEST, &bytes)?;
            for image in list.as_array_mut().into_iter().flatten() {
                self.docker(image)?;
            }
            self.rack.add_bytes(MANIFEST, &text(&list)?)?;
        }
        self.rack.finish()
    }

    fn is_layout(&self) -> bool {
        self.shelf.has(INDEX) && self.shelf.has(LAYOUT)
    }

    /// One image of docker's list.
    fn docker(&mut self, image: &mut Value) -> io::Result<()> {
        let config = string(image.get("Config"), "Config of manifest.json")?;
        let mut layers = vec![];
        for layer in image.get("Layers").and_then(Value::as_array).into_iter().flatten() {
            layers.push(string(Some(layer), "a layer of manifest.json")?);
        }
        let made = self.make(&config, &layers, true)?;
        if let Some(config) = &made.config {
            put(image, "Config", config.name.clone().into());
        }
        for (name, blob) in
            image.get_mut("Layers").and_then(Value::as_array_mut).into_iter().flatten().zip(&made.layers)
        {
            if let Some(blob) = blob {
                *name = blob.name.clone().into();
            }
        }
        // Where layers can be had that the archive lacks, by digests that are no more.
        image.as_object_mut().map(|image| image.remove("LayerSources"));
        Ok(())
    }

    /// All that an index leads to.
    fn manifests(&mut self, index: &mut Value, depth: usize) -> io::Result<()> {
        for descriptor in index.get_mut("manifests").and_then(Value::as_array_mut).into_iter().flatten() {
            let digest = string(descriptor.get("digest"), "a digest of an index")?;
            let name = blob_name(&digest)?;
            if !self.shelf.has(&name) {
                continue; // of a platform that was not fetched
            }
            if !self.met.insert(digest.clone()) {
                continue; // it is done, and `rename` says what it is; or it is around this one
            }
            let old = self.shelf.read(&name)?;
            let mut manifest = parse(&name, &old)?;
            if manifest.get("manifests").is_some() {
                if depth == DEEPEST {
                    return Err(malformed("its indexes stand too deep in one another"));
                }
                self.manifests(&mut manifest, depth + 1)?;
            } else {
                self.manifest(&mut manifest)?;
            }
            self.rename(&mut manifest);
            if manifest == parse(&name, &old)? {
                self.rack.add_bytes(&name, &old)?;
                continue;
            }
            let new = text(&manifest)?;
            let new_digest = blob::digest(&new);
            self.rack.add_bytes(&blob_name(&new_digest)?, &new)?;
            self.digests.insert(digest, (new_digest, new.len() as u64));
        }
        Ok(())
    }

    /// One image, or something else that is kept like one.
    fn manifest(&mut self, manifest: &mut Value) -> io::Result<()> {
        let config = match manifest.get("config") {
            Some(config) => blob_name(&string(config.get("digest"), "the digest of a configuration")?)?,
            None => return Ok(()),
        };
        let mut names = vec![];
        for layer in manifest.get("layers").and_then(Value::as_array).into_iter().flatten() {
            names.push(blob_name(&string(layer.get("digest"), "the digest of a layer")?)?);
        }
        let is_image = manifest.get("layers").and_then(Value::as_array).into_iter().flatten().all(is_layer);
        let made = self.make(&config, &names, is_image)?;
        for (layer, blob) in
            manifest.get_mut("layers").and_then(Value::as_array_mut).into_iter().flatten().zip(&made.layers)
        {
            if let Some(blob) = blob {
                describe(layer, blob);
            }
        }
        if let (Some(config), Some(blob)) = (manifest.get_mut("config"), &made.config) {
            redirect(config, &blob.digest, blob.size);
        }
        Ok(())
    }

    /// Writes the files of an image with this configuration and these layers, once; or copies them, if it is no image.
    fn make(&mut self, config: &str, layers: &[String], is_image: bool) -> io::Result<Made> {
        let names = std::iter::once(config).chain(layers.iter().map(String::as_str)).map(str::to_owned);
        let key = (names.collect(), is_image);
        if let Some(made) = self.made.get(&key) {
            return Ok(made.clone());
        }
        let bytes = self.shelf.read(config)?;
        let mut value: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        let ids = value.pointer("/rootfs/diff_ids").and_then(Value::as_array);
        let ids = ids.filter(|ids| is_image && ids.len() == layers.len());
        for (number, name) in layers.iter().enumerate().filter(|(_, name)| self.shelf.has(name)) {
            let id = ids.and_then(|ids| ids.get(number)).and_then(Value::as_str);
            self.shelf.check(name, id)?;
        }
        let new = if ids.is_some() { self.layers(layers)? } else { vec![None; layers.len()] };
        for (name, blob) in layers.iter().zip(&new) {
            if blob.is_none() && self.shelf.has(name) {
                self.copy(name)?;
            }
        }
        let ids = value.pointer_mut("/rootfs/diff_ids").and_then(Value::as_array_mut);
        for (id, blob) in ids.into_iter().flatten().zip(&new) {
            if let Some(blob) = blob {
                *id = blob.content.clone().into();
            }
        }
        let config = if new.iter().all(Option::is_none) {
            self.copy(config)?;
            None
        } else {
            let bytes = text(&value)?;
            let digest = blob::digest(&bytes);
            let name = if self.is_layout() { blob_name(&digest)? } else { format!("{}.json", hex(&digest)) };
            self.rack.add_bytes(&name, &bytes)?;
            let size = bytes.len() as u64;
            Some(Blob { name, content: digest.clone(), digest, size, squeeze: Squeeze::None })
        };
        let made = Made { config, layers: new };
        self.made.insert(key, made.clone());
        Ok(made)
    }

    fn layers(&mut self, names: &[String]) -> io::Result<Vec<Option<Blob>>> {
        let mut stack = Stack::default();
        for name in names {
            // A layer that the archive lacks is in a registry, so no run here made it.
            let is_there = self.shelf.has(name);
            stack.0.push(if is_there {
                Surface::of(self.shelf.open(name)?.open()?)?
            } else {
                Surface::default()
            });
        }
        let mut new = vec![];
        for (number, name) in names.iter().enumerate() {
            new.push(match self.shelf.has(name) {
                true => self.layer(&self.shelf.open(name)?, &stack, number)?,
                false => None,
            });
        }
        Ok(new)
    }

    fn layer(&mut self, span: &Span, stack: &Stack, number: usize) -> io::Result<Option<Blob>> {
        let mut layer = Layer { stack, number, report: self.report };
        if !stack.concerns(number) {
            // It is looked at for the report alone.
            layer.rewrite(span.open()?, &mut io::sink())?;
            return Ok(None);
        }
        let squeeze = if span.squeeze()? == Squeeze::None { Squeeze::None } else { Squeeze::Gzip };
        let file = Tally::new(BufWriter::new(output::unnamed(self.out)?));
        let mut content = Tally::new(Press::new(file, squeeze == Squeeze::Gzip));
        if !layer.rewrite(span.open()?, &mut content)? {
            return Ok(None);
        }
        let (press, content, _) = content.finish();
        let (file, digest, size) = press.finish()?.finish();
        let mut file: File = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        let name = match squeeze {
            _ if self.is_layout() => blob_name(&digest)?,
            Squeeze::None => format!("{}.tar", hex(&digest)),
            _ => format!("{}.tar.gz", hex(&digest)),
        };
        self.rack.add(&name, size, &mut file)?;
        Ok(Some(Blob { name, digest, size, content, squeeze }))
    }

    fn copy(&mut self, name: &str) -> io::Result<()> {
        let span = self.shelf.open(name)?;
        self.rack.add(name, span.length(), &mut span.bytes())
    }

    /// Has whatever names something by an old digest name it by the new one.
    fn rename(&self, value: &mut Value) {
        let digest = value.get("digest").and_then(Value::as_str);
        if let Some((new, size)) = digest.and_then(|digest| self.digests.get(digest)) {
            redirect(value, new, *size);
        }
        match value {
            Value::String(text) => {
                if let Some((new, _)) = self.digests.get(text) {
                    text.clone_from(new);
                }
            }
            Value::Array(all) => all.iter_mut().for_each(|value| self.rename(value)),
            Value::Object(all) => all.values_mut().for_each(|value| self.rename(value)),
            _ => {}
        }
    }
}

/// Whether it is docker's list of images.
pub(super) fn is_list(text: &[u8]) -> bool {
    let list: Value = serde_json::from_slice(text).unwrap_or(Value::Null);
    let is_image = |image: &Value| {
        image.get("Config").is_some_and(Value::is_string) && image.get("Layers").is_some_and(Value::is_array)
    };
    list.as_array().is_some_and(|images| !images.is_empty() && images.iter().all(is_image))
}

/// Whether a descriptor is of a layer, which is a tar archive that can be read, as those of attestations are not.
fn is_layer(descriptor: &Value) -> bool {
    let kind = descriptor.get("mediaType").and_then(Value::as_str);
    kind.is_none_or(|kind| kind.contains("tar") && !kind.ends_with("+encrypted"))
}

/// Has a descriptor name another file, whose content does not stand in it.
fn redirect(descriptor: &mut Value, digest: &str, size: u64) {
    put(descriptor, "digest", digest.into());
    put(descriptor, "size", size.into());
    descriptor.as_object_mut().map(|descriptor| descriptor.remove("data"));
}

/// Has a layer's descriptor say what the new one is.
fn describe(layer: &mut Value, blob: &Blob) {
    redirect(layer, &blob.digest, blob.size);
    if blob.squeeze == Squeeze::Gzip
        && let Some(kind) = layer.get("mediaType").and_then(Value::as_str)
    {
        let kind = kind.replace("zstd", "gzip");
        put(layer, "mediaType", kind.into());
    }
    if let Some(notes) = layer.get_mut("annotations").and_then(Value::as_object_mut) {
        notes.retain(|key, _| !ABOUT_FORM.iter().any(|about| key.starts_with(about)));
    }
}

fn put(object: &mut Value, key: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(key.to_owned(), value);
    }
}

fn parse(name: &str, bytes: &[u8]) -> io::Result<Value> {
    serde_json::from_slice(bytes)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("{name}: {error}")))
}

fn text(value: &Value) -> io::Result<Vec<u8>> {
    Ok(serde_json::to_vec(value)?)
}

fn string(value: Option<&Value>, what: &str) -> io::Result<String> {
    value.and_then(Value::as_str).map(str::to_owned).ok_or_else(|| malformed(&format!("{what} is no text")))
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the image is malformed: {what}"))
}

/// Where a layout has the file with this digest.
fn blob_name(digest: &str) -> io::Result<String> {
    let is_plain = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match digest.split_once(':') {
        Some((algorithm, hex)) if is_plain(algorithm) && is_plain(hex) => {
            Ok(format!("blobs/{algorithm}/{hex}"))
        }
        _ => Err(malformed(&format!("{digest} is no digest"))),
    }
}

fn hex(digest: &str) -> &str {
    digest.split_once(':').map_or(digest, |(_, hex)| hex)
}
