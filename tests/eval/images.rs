//! Images to pixels, against transformers' image processors (with Pillow).

use std::path::Path;

use interplay::load::SafeTensors;
use interplay::load::image::{Picture, Preprocess};
use interplay::models::embedded;
use libtest_mimic::{Failed, Trial};

use crate::oracles::case;

pub fn cases() -> Vec<Trial> {
    vec![
        case("eval::pixels_of_vit", "data/checkpoints/vit", pixels),
        case("eval::pixels_of_resnet_basic", "data/checkpoints/resnet-basic", pixels),
        case("eval::pixels_of_resnet_bottleneck", "data/checkpoints/resnet-bottleneck", pixels),
        Trial::test("eval::pixels_of_the_embedded_digits", digits),
    ]
}

/// The pixels are the golden ones, bit for bit.
fn pixels(folder: &Path) -> Result<(), Failed> {
    let golden = SafeTensors::open(&folder.join("golden.safetensors"))?;
    let steps = Preprocess::open(&folder.join("preprocessor_config.json"))?;
    let (&[images, height, width, channels], &[_, c, h, w]) =
        (golden.shape("images_u8")?, golden.shape("pixel_values")?)
    else {
        return Err("the golden images have other dimensions than 4".into());
    };
    let values = golden.octets("images_u8")?;
    let mut got = Vec::new();
    for image in values.chunks_exact(values.len() / images) {
        got.extend(steps.pixels(Picture::new(width, height, channels, image.to_vec())?, (c, h, w))?);
    }
    let want = golden.floats("pixel_values")?;
    let different = got.iter().zip(&want).filter(|(got, want)| got.to_bits() != want.to_bits()).count();
    let gap = got.iter().zip(&want).fold(0f32, |gap, (got, want)| gap.max((got - want).abs()));
    assert_eq!((got.len(), different), (want.len(), 0), "pixels differ by up to {gap:e}");
    Ok(())
}

/// The held-out digits through the embedded configuration are what [`embedded::labelled_images`] makes of them.
fn digits() -> Result<(), Failed> {
    let file = SafeTensors::from_bytes("heldout", embedded::heldout_images().to_vec())?;
    let (want, _) = embedded::labelled_images(&file)?;
    let steps = Preprocess::parse(Path::new("preprocessor_config.json"), embedded::vit_preprocessor())?;
    for (image, want) in file.octets("images_u8")?.chunks_exact(28 * 28).zip(want.chunks_exact(28 * 28)).take(50) {
        let got = steps.pixels(Picture::new(28, 28, 1, image.to_vec())?, (1, 28, 28))?;
        let gap = got.iter().zip(want).fold(0f32, |gap, (got, want)| gap.max((got - want).abs()));
        // One product and one quotient in another order: two roundings of values of at most 1.
        assert!(gap <= 2.0 * f32::EPSILON, "pixels differ by {gap:e}");
    }
    Ok(())
}
