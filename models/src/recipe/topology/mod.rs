//! The networks that can be generated.

mod alexnet;
mod mobilenet;
mod resnet;
mod squeezenet;
mod vgg;
mod yolo;

use super::weights::Weights;
use crate::source::Onnx;

/// A network's structure, as published; weights are seeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topology {
    /// VGG-16 (configuration D), 224×224.
    Vgg16,
    /// AlexNet as in Caffe's model zoo: grouped convolutions and LRN, 224×224.
    Alexnet,
    /// ResNet-18, 224×224.
    Resnet18,
    /// ResNet-50 with the stride in the 3×3 convolutions ("v1.5"), 224×224.
    Resnet50,
    /// MobileNetV2, width 1.0, 224×224.
    MobilenetV2,
    /// SqueezeNet 1.0, 224×224.
    Squeezenet,
    /// The first 16 layers of YOLOv2 (12 convolutions, 4 max pools), 608×608.
    Yolov2First16,
}

impl Topology {
    /// Every one.
    pub const ALL: [Self; 7] = [
        Self::Vgg16,
        Self::Alexnet,
        Self::Resnet18,
        Self::Resnet50,
        Self::MobilenetV2,
        Self::Squeezenet,
        Self::Yolov2First16,
    ];

    /// The name in recipes and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vgg16 => "vgg16",
            Self::Alexnet => "alexnet",
            Self::Resnet18 => "resnet18",
            Self::Resnet50 => "resnet50",
            Self::MobilenetV2 => "mobilenet_v2",
            Self::Squeezenet => "squeezenet",
            Self::Yolov2First16 => "yolov2_16",
        }
    }

    /// The one with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|topology| topology.name() == name)
    }

    /// Every name.
    pub fn names() -> Vec<&'static str> {
        Self::ALL.map(Self::name).to_vec()
    }

    pub(super) fn build(self, weights: Weights) -> Onnx {
        let name = self.name();
        match self {
            Self::Vgg16 => vgg::build(name, weights),
            Self::Alexnet => alexnet::build(name, weights),
            Self::Resnet18 => resnet::build(name, weights, resnet::Block::Basic, [2, 2, 2, 2]),
            Self::Resnet50 => resnet::build(name, weights, resnet::Block::Bottleneck, [3, 4, 6, 3]),
            Self::MobilenetV2 => mobilenet::build(name, weights),
            Self::Squeezenet => squeezenet::build(name, weights),
            Self::Yolov2First16 => yolo::build(name, weights),
        }
    }
}
