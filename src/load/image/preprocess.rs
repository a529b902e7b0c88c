//! From an image to the pixels of a model, as `preprocessor_config.json` describes it.

use std::path::Path;

use serde_json::Value;

use super::{Filter, Picture, resize};
use crate::Error;

/// From this shortest edge on, ConvNeXt's processor takes whole images instead of their middles.
const CONVNEXT_WHOLE: usize = 384;

/// Steps from 8-bit values to a model's input.
#[derive(Debug, Clone, PartialEq)]
pub struct Preprocess {
    /// How the image is resized.
    resize: Resize,
    filter: Filter,
    /// The middle that is cut out afterwards: rows, columns.
    crop: Option<(usize, usize)>,
    /// What 8-bit values are multiplied by.
    factor: f64,
    /// What is subtracted, by channel; one for all where there is one.
    mean: Vec<f32>,
    /// What is divided by, likewise.
    deviation: Vec<f32>,
}

/// A size to resize to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resize {
    No,
    /// Rows and columns.
    To(usize, usize),
    /// The shorter side; the longer one keeps the ratio, rounded down.
    ShortestEdge(usize),
}

impl Preprocess {
    /// Reads a `preprocessor_config.json` of transformers' image processors for ViT, DeiT, ConvNeXt (ResNet) and EfficientNet.
    ///
    /// # Errors
    /// The file cannot be read, is not such a configuration, or asks for another resampling than bilinear or bicubic.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let text = super::super::bounded::read_to_string(path)
            .map_err(|source| Error::Io { path: path.to_owned(), source })?;
        Self::parse(path, &text)
    }

    /// [`Preprocess::open`] of a text; `origin` names it in messages.
    ///
    /// # Errors
    /// Those of [`Preprocess::open`].
    pub fn parse(origin: &Path, text: &str) -> Result<Self, Error> {
        let read = || -> Result<Self, String> {
            let value: Value = serde_json::from_str(text).map_err(|e| format!("this is not JSON: {e}"))?;
            Self::of(&value)
        };
        read().map_err(|problem| Error::Malformed { path: origin.to_owned(), problem })
    }

    fn of(value: &Value) -> Result<Self, String> {
        let on = |key: &str, default| value.get(key).and_then(Value::as_bool).unwrap_or(default);
        let convnext = value.get("image_processor_type").or_else(|| value.get("feature_extractor_type"));
        let convnext = convnext.and_then(Value::as_str).is_some_and(|name| name.starts_with("ConvNext"));
        let (mut resize, mut crop) = (Resize::No, None);
        if on("do_resize", true) {
            resize = size(value.get("size").ok_or("there is no `size`")?, "size")?;
        }
        if let (true, Resize::ShortestEdge(edge)) = (convnext, resize) {
            if edge < CONVNEXT_WHOLE {
                let part = value.get("crop_pct").and_then(Value::as_f64).unwrap_or(224.0 / 256.0);
                resize = Resize::ShortestEdge((edge as f64 / part) as usize);
                crop = Some((edge, edge));
            } else {
                resize = Resize::To(edge, edge);
            }
        } else if on("do_center_crop", value.get("crop_size").is_some()) {
            match size(value.get("crop_size").ok_or("there is no `crop_size`")?, "crop_size")? {
                Resize::To(height, width) => crop = Some((height, width)),
                _ => return Err("`crop_size` has no `height` and `width`".into()),
            }
        }
        let number = value.get("resample").and_then(Value::as_u64).unwrap_or(2);
        let filter = Filter::by_number(number);
        let filter =
            filter.ok_or_else(|| format!("`resample` is {number}; only 2 (bilinear) and 3 (bicubic) are known"))?;
        let factor = value.get("rescale_factor").and_then(Value::as_f64).unwrap_or(1.0 / 255.0);
        let normalised = on("do_normalize", true);
        let by_channel = |key: &str, neutral: f32| match value.get(key) {
            _ if !normalised => Ok(vec![neutral]),
            None => Err(format!("there is no `{key}`")),
            Some(Value::Array(list)) if !list.is_empty() => {
                let numbers = list.iter().map(|number| number.as_f64().map(|number| number as f32));
                numbers.collect::<Option<Vec<_>>>().ok_or_else(|| format!("`{key}` holds something else than numbers"))
            }
            Some(_) => Err(format!("`{key}` is not a list of numbers")),
        };
        let (mean, deviation) = (by_channel("image_mean", 0.0)?, by_channel("image_std", 1.0)?);
        if deviation.iter().any(|deviation| !deviation.is_normal()) {
            return Err("a number of `image_std` is 0 or not finite".into());
        }
        Ok(Self { resize, filter, crop, factor: if on("do_rescale", true) { factor } else { 1.0 }, mean, deviation })
    }

    /// The pixels `[C, height, width]` of `picture` for a model that takes `channels` x `height` x `width`.
    ///
    /// # Errors
    /// The steps give another size than the model takes, or have other channels.
    pub fn pixels(
        &self,
        picture: Picture,
        (channels, height, width): (usize, usize, usize),
    ) -> Result<Vec<f32>, Error> {
        let mut picture = picture.with_channels(channels);
        let long = |edge: usize, short: usize, long: usize| edge.saturating_mul(long) / short;
        picture = match self.resize {
            Resize::No => picture,
            Resize::To(height, width) => resize(&picture, height, width, self.filter)?,
            Resize::ShortestEdge(edge) => {
                let (h, w) = (picture.height(), picture.width());
                let (h, w) = if h <= w { (edge, long(edge, h, w)) } else { (long(edge, w, h), edge) };
                resize(&picture, h, w, self.filter)?
            }
        };
        if let Some((height, width)) = self.crop {
            picture = picture.middle(height, width)?;
        }
        let (mean, deviation) = (self.mean.len(), self.deviation.len());
        let fits = |parts: usize| parts == 1 || parts == channels;
        if (picture.channels(), picture.height(), picture.width()) != (channels, height, width)
            || !fits(mean)
            || !fits(deviation)
        {
            return Err(Error::Invalid(format!(
                "the image has {} x {} x {} values after its steps, with {mean} means and {deviation} deviations, but the \
                 model takes {channels} x {height} x {width}; give the preprocessor_config.json that belongs to the model",
                picture.channels(),
                picture.height(),
                picture.width()
            )));
        }
        let mut pixels = Vec::with_capacity(picture.values().len());
        for channel in 0..channels {
            let (mean, deviation) = (self.mean[channel % mean], self.deviation[channel % deviation]);
            let values = picture.values().iter().skip(channel).step_by(channels);
            // The product is rounded to f32 before the mean is subtracted, as the processors do.
            pixels.extend(values.map(|&value| ((f64::from(value) * self.factor) as f32 - mean) / deviation));
        }
        Ok(pixels)
    }
}

/// A size: a number (both sides), `height` and `width`, or `shortest_edge`.
fn size(value: &Value, key: &str) -> Result<Resize, String> {
    let side = |value: &Value| value.as_u64().and_then(|side| usize::try_from(side).ok()).filter(|side| *side > 0);
    let field = |name: &str| value.get(name).and_then(side);
    let found = match (side(value), field("height"), field("width"), field("shortest_edge")) {
        (Some(both), ..) => Some(Resize::To(both, both)),
        (_, Some(height), Some(width), _) => Some(Resize::To(height, width)),
        (.., Some(edge)) => Some(Resize::ShortestEdge(edge)),
        _ => None,
    };
    let allowed = "a number, `height` and `width`, or `shortest_edge`, from 1 on";
    found.ok_or_else(|| format!("`{key}` is {value}; it is {allowed}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Preprocess, Error> {
        Preprocess::parse(Path::new("p.json"), text)
    }

    #[test]
    fn processors_are_read_by_what_they_say() {
        let vit = parse(r#"{"size":{"height":4,"width":6},"image_mean":[0.5],"image_std":[0.5]}"#).unwrap();
        assert_eq!((vit.resize, vit.crop, vit.filter), (Resize::To(4, 6), None, Filter::Bilinear));
        let resnet = r#"{"image_processor_type":"ConvNextImageProcessor","crop_pct":0.875,"resample":3,
            "size":{"shortest_edge":224},"image_mean":[0,0,0],"image_std":[1,1,1]}"#;
        let resnet = parse(resnet).unwrap();
        let want = (Resize::ShortestEdge(256), Some((224, 224)), Filter::Bicubic);
        assert_eq!((resnet.resize, resnet.crop, resnet.filter), want);
        let deit = r#"{"size":256,"crop_size":224,"resample":3,"do_normalize":false}"#;
        let deit = parse(deit).unwrap();
        assert_eq!((deit.resize, deit.crop), (Resize::To(256, 256), Some((224, 224))));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, part) in [
            ("{", "not JSON"),
            ("{}", "`size`"),
            (r#"{"do_resize":false}"#, "`image_mean`"),
            (r#"{"do_resize":false,"image_mean":[0],"image_std":[0]}"#, "`image_std`"),
            (r#"{"do_resize":false,"resample":1,"do_normalize":false}"#, "bilinear"),
            (r#"{"size":{"height":0,"width":2}}"#, "from 1 on"),
        ] {
            let message = parse(text).unwrap_err().to_string();
            assert!(message.contains(part) && message.contains("p.json"), "{message}");
        }
        let none = parse(r#"{"do_resize":false,"do_normalize":false}"#).unwrap();
        let picture = Picture::new(2, 1, 1, vec![0, 255]).unwrap();
        assert_eq!(none.pixels(picture.clone(), (1, 1, 2)).unwrap(), [0.0, 1.0]);
        assert!(none.pixels(picture, (3, 2, 2)).unwrap_err().to_string().contains("3 x 1 x 2"));
    }
}
