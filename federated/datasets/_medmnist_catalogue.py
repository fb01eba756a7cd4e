"""MedMNIST v2's 2-D data sets at 28×28, as published: Zenodo record 10519652.

Yang, Shi, Wei, et al. 2023, doi 10.1038/s41597-022-01721-8. Names, MD5 sums and labels are those
of the `medmnist` package 3.0.2 (medmnist/info.py, Apache-2.0). Data: CC BY 4.0, but DermaMNIST
CC BY-NC 4.0.
"""

from typing import NamedTuple


class Published(NamedTuple):
    """md5 of `<name>.npz`; channels 1 or 3; classes by index; one label an image, or several."""

    md5: str
    channels: int
    classes: tuple[str, ...]
    multi_label: bool = False


CATALOGUE = {
    "pathmnist": Published(
        "a8b06965200029087d5bd730944a56c1",
        3,
        (
            "adipose",
            "background",
            "debris",
            "lymphocytes",
            "mucus",
            "smooth muscle",
            "normal colon mucosa",
            "cancer-associated stroma",
            "colorectal adenocarcinoma epithelium",
        ),
    ),
    "chestmnist": Published(
        "02c8a6516a18b556561a56cbdd36c4a8",
        1,
        (
            "atelectasis",
            "cardiomegaly",
            "effusion",
            "infiltration",
            "mass",
            "nodule",
            "pneumonia",
            "pneumothorax",
            "consolidation",
            "edema",
            "emphysema",
            "fibrosis",
            "pleural",
            "hernia",
        ),
        multi_label=True,
    ),
    "dermamnist": Published(
        "0744692d530f8e62ec473284d019b0c7",
        3,
        (
            "actinic keratoses and intraepithelial carcinoma",
            "basal cell carcinoma",
            "benign keratosis-like lesions",
            "dermatofibroma",
            "melanoma",
            "melanocytic nevi",
            "vascular lesions",
        ),
    ),
    "octmnist": Published(
        "c68d92d5b585d8d81f7112f81e2d0842",
        1,
        ("choroidal neovascularization", "diabetic macular edema", "drusen", "normal"),
    ),
    "pneumoniamnist": Published(
        "28209eda62fecd6e6a2d98b1501bb15f",
        1,
        ("normal", "pneumonia"),
    ),
    "retinamnist": Published(
        "bd4c0672f1bba3e3a89f0e4e876791e4",
        3,
        ("0", "1", "2", "3", "4"),
    ),
    "breastmnist": Published(
        "750601b1f35ba3300ea97c75c52ff8f6",
        1,
        ("malignant", "normal, benign"),
    ),
    "bloodmnist": Published(
        "7053d0359d879ad8a5505303e11de1dc",
        3,
        (
            "basophil",
            "eosinophil",
            "erythroblast",
            "immature granulocytes(myelocytes, metamyelocytes and promyelocytes)",
            "lymphocyte",
            "monocyte",
            "neutrophil",
            "platelet",
        ),
    ),
    "tissuemnist": Published(
        "ebe78ee8b05294063de985d821c1c34b",
        1,
        (
            "Collecting Duct, Connecting Tubule",
            "Distal Convoluted Tubule",
            "Glomerular endothelial cells",
            "Interstitial endothelial cells",
            "Leukocytes",
            "Podocytes",
            "Proximal Tubule Segments",
            "Thick Ascending Limb",
        ),
    ),
    "organamnist": Published(
        "68e3f8846a6bd62f0c9bf841c0d9eacc",
        1,
        (
            "bladder",
            "femur-left",
            "femur-right",
            "heart",
            "kidney-left",
            "kidney-right",
            "liver",
            "lung-left",
            "lung-right",
            "pancreas",
            "spleen",
        ),
    ),
    "organcmnist": Published(
        "b9ceb9546e10131b32923c5bbeaea2b1",
        1,
        (
            "bladder",
            "femur-left",
            "femur-right",
            "heart",
            "kidney-left",
            "kidney-right",
            "liver",
            "lung-left",
            "lung-right",
            "pancreas",
            "spleen",
        ),
    ),
    "organsmnist": Published(
        "9ab87b696fb54e2a387ebe992d6ed5f1",
        1,
        (
            "bladder",
            "femur-left",
            "femur-right",
            "heart",
            "kidney-left",
            "kidney-right",
            "liver",
            "lung-left",
            "lung-right",
            "pancreas",
            "spleen",
        ),
    ),
}
