"""The papers that the source cites and the modules that cite them, listed by `reference/papers`.

A citation looks like "Name et al. 2012" or "Name & Name 2012"; the first name and the year are its
key. A test fails if the source cites a paper that is missing here, or if a paper here is not cited.
"""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Authors, title and venue of each paper, without "in", and without initials unless ambiguous.
PAPERS = {
    "Ahmed 2017": "Ahmed, Irtaza, Iqbal. Fusion of local and global features for effective image "
    "extraction. Applied Intelligence 2017",
    "Alpaydin 1998": "Alpaydin, Kaynak. Optical Recognition of Handwritten Digits. UCI Machine "
    "Learning Repository 1998",
    "Chellapilla 2006": "Chellapilla, Puri, Simard. High Performance Convolutional Neural Networks "
    "for Document Processing. IWFHR 2006",
    "Cover 1967": "Cover, Hart. Nearest Neighbor Pattern Classification. IEEE Transactions on "
    "Information Theory 1967",
    "Cubuk 2020": "Cubuk, Zoph, Shlens, Le. RandAugment: Practical Automated Data Augmentation "
    "with a Reduced Search Space. NeurIPS 2020",
    "DeVries 2017": "DeVries, Taylor. Improved Regularization of Convolutional Neural Networks "
    "with Cutout. arXiv 1708.04552",
    "Fix 1951": "Fix, Hodges. Discriminatory Analysis. Nonparametric Discrimination: Consistency "
    "Properties. USAF School of Aviation Medicine 1951",
    "Glorot 2010": "Glorot, Bengio. Understanding the Difficulty of Training Deep Feedforward "
    "Neural Networks. AISTATS 2010",
    "Goyal 2017": "Goyal et al. Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour. "
    "arXiv 1706.02677",
    "Grandvalet 2004": "Grandvalet, Bengio. Semi-supervised Learning by Entropy Minimization. "
    "NIPS 2004",
    "Guo 2017": "Guo, Pleiss, Sun, Weinberger. On Calibration of Modern Neural Networks. ICML 2017",
    "Harris 1988": "Harris, Stephens. A Combined Corner and Edge Detector. Alvey Vision "
    "Conference 1988",
    "He 2015": "He, Zhang, Ren, Sun. Delving Deep into Rectifiers: Surpassing Human-Level "
    "Performance on ImageNet Classification. ICCV 2015",
    "He 2016": "He, Zhang, Ren, Sun. Deep Residual Learning for Image Recognition. CVPR 2016",
    "He 2019": "He, Zhang, Zhang, Zhang, Xie, Li. Bag of Tricks for Image Classification with "
    "Convolutional Neural Networks. CVPR 2019",
    "Hinton 2015": "Hinton, Vinyals, Dean. Distilling the Knowledge in a Neural Network. "
    "arXiv 1503.02531",
    "Howard 2013": "Howard. Some Improvements on Deep Convolutional Neural Network Based Image "
    "Classification. arXiv 1312.5402",
    "Huang 2016": "Huang, Sun, Liu, Sedra, Weinberger. Deep Networks with Stochastic Depth. "
    "ECCV 2016",
    "Ioffe 2015": "Ioffe, Szegedy. Batch Normalization: Accelerating Deep Network Training by "
    "Reducing Internal Covariate Shift. ICML 2015",
    "Jaderberg 2015": "Jaderberg, Simonyan, Zisserman, Kavukcuoglu. Spatial Transformer Networks. "
    "NIPS 2015",
    "Kingma 2015": "Kingma, Ba. Adam: A Method for Stochastic Optimization. ICLR 2015",
    "Krizhevsky 2009": "Krizhevsky. Learning Multiple Layers of Features from Tiny Images. "
    "University of Toronto 2009",
    "Krizhevsky 2012": "Krizhevsky, Sutskever, Hinton. ImageNet Classification with Deep "
    "Convolutional Neural Networks. NIPS 2012",
    "Krizhevsky 2014": "Krizhevsky. One Weird Trick for Parallelizing Convolutional Neural "
    "Networks. arXiv 1404.5997",
    "LeCun 1998": "LeCun, Bottou, Bengio, Haffner. Gradient-Based Learning Applied to Document "
    "Recognition. Proceedings of the IEEE 1998",
    "Lee 2013": "Lee. Pseudo-Label: The Simple and Efficient Semi-Supervised Learning Method for "
    "Deep Neural Networks. ICML workshop 2013",
    "Li 2018": "Li, Hoiem. Learning without Forgetting. IEEE TPAMI 2018",
    "Lin 2014": "Lin, Chen, Yan. Network In Network. ICLR 2014",
    "Loshchilov 2017": "Loshchilov, Hutter. SGDR: Stochastic Gradient Descent with Warm Restarts. "
    "ICLR 2017",
    "Loshchilov 2019": "Loshchilov, Hutter. Decoupled Weight Decay Regularization. ICLR 2019",
    "Lowe 2004": "Lowe. Distinctive Image Features from Scale-Invariant Keypoints. IJCV 2004",
    "Luo 2016": "Luo, Li, Urtasun, Zemel. Understanding the Effective Receptive Field in Deep "
    "Convolutional Neural Networks. NIPS 2016",
    "Maas 2013": "Maas, Hannun, Ng. Rectifier Nonlinearities Improve Neural Network Acoustic "
    "Models. ICML workshop 2013",
    "Moravec 1980": "Moravec. Obstacle Avoidance and Navigation in the Real World by a Seeing "
    "Robot Rover. Stanford University 1980",
    "Nair 2010": "Nair, Hinton. Rectified Linear Units Improve Restricted Boltzmann Machines. "
    "ICML 2010",
    "Ojala 1996": "Ojala, Pietikäinen, Harwood. A Comparative Study of Texture Measures with "
    "Classification Based on Featured Distributions. Pattern Recognition 1996",
    "Ojala 2002": "Ojala, Pietikäinen, Mäenpää. Multiresolution Gray-Scale and Rotation Invariant "
    "Texture Classification with Local Binary Patterns. IEEE TPAMI 2002",
    "Oquab 2014": "Oquab, Bottou, Laptev, Sivic. Learning and Transferring Mid-Level Image "
    "Representations Using Convolutional Neural Networks. CVPR 2014",
    "Pascanu 2013": "Pascanu, Mikolov, Bengio. On the Difficulty of Training Recurrent Neural "
    "Networks. ICML 2013",
    "Pearson 1901": "Pearson. On Lines and Planes of Closest Fit to Systems of Points in Space. "
    "Philosophical Magazine 1901",
    "Polyak 1992": "Polyak, Juditsky. Acceleration of Stochastic Approximation by Averaging. "
    "SIAM Journal on Control and Optimization 1992",
    "Prechelt 1998": "Prechelt. Early Stopping, but When? Neural Networks: Tricks of the Trade, "
    "LNCS 1524, 1998",
    "Selvaraju 2017": "Selvaraju et al. Grad-CAM: Visual Explanations from Deep Networks via "
    "Gradient-Based Localization. ICCV 2017",
    "Sermanet 2014": "Sermanet, Eigen, Zhang, Mathieu, Fergus, LeCun. OverFeat: Integrated "
    "Recognition, Localization and Detection Using Convolutional Networks. ICLR 2014",
    "Simard 2003": "Simard, Steinkraus, Platt. Best Practices for Convolutional Neural Networks "
    "Applied to Visual Document Analysis. ICDAR 2003",
    "Simonyan 2013": "Simonyan, Vedaldi, Zisserman. Deep Inside Convolutional Networks: "
    "Visualising Image Classification Models and Saliency Maps. arXiv 1312.6034",
    "Simonyan 2014": "Simonyan, Zisserman. Very Deep Convolutional Networks for Large-Scale Image "
    "Recognition. arXiv 1409.1556",
    "Sohn 2020": "Sohn et al. FixMatch: Simplifying Semi-Supervised Learning with Consistency and "
    "Confidence. NeurIPS 2020",
    "Srivastava 2014": "Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov. Dropout: A "
    "Simple Way to Prevent Neural Networks from Overfitting. JMLR 2014",
    "Szegedy 2015": "Szegedy et al. Going Deeper with Convolutions. CVPR 2015",
    "Szegedy 2016": "Szegedy, Vanhoucke, Ioffe, Shlens, Wojna. Rethinking the Inception "
    "Architecture for Computer Vision. CVPR 2016",
    "Tarvainen 2017": "Tarvainen, Valpola. Mean Teachers Are Better Role Models. NIPS 2017",
    "Xiao 2017": "Xiao, Rasul, Vollgraf. Fashion-MNIST: a Novel Image Dataset for Benchmarking "
    "Machine Learning Algorithms. arXiv 1708.07747",
    "Xie 2020": "Xie, Luong, Hovy, Le. Self-Training with Noisy Student Improves ImageNet "
    "Classification. CVPR 2020",
    "Yosinski 2014": "Yosinski, Clune, Bengio, Lipson. How Transferable Are Features in Deep "
    "Neural Networks? NIPS 2014",
    "Yun 2019": "Yun et al. CutMix: Regularization Strategy to Train Strong Classifiers with "
    "Localizable Features. ICCV 2019",
    "Zeiler 2014": "Zeiler, Fergus. Visualizing and Understanding Convolutional Networks. "
    "ECCV 2014",
    "Zhang 2018": "Zhang, Cisse, Dauphin, Lopez-Paz. mixup: Beyond Empirical Risk Minimization. "
    "ICLR 2018",
    "Zhou 2016": "Zhou, Khosla, Lapedriza, Oliva, Torralba. Learning Deep Features for "
    "Discriminative Localization. CVPR 2016",
}  # fmt: skip

NAME = r"[A-ZÀ-Ý][^\W\d_]+(?:-[A-Z][^\W\d_]+)?"
CITATION = re.compile(
    rf"({NAME})((?:, {NAME})*(?:,? (?:&|and) {NAME})?(?: et al\.)?(?:'s OverFeat)?),?"
    r" \(?((?:19|20)\d\d)\b"
)


def citations() -> dict[str, list[str]]:
    """{key of a paper: the modules that cite it}, both sorted."""
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / "minivision").rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        text = re.sub(r"\s+", " ", path.read_text("utf-8"))
        for name, _, year in CITATION.findall(text):
            found.setdefault(f"{name} {year}", set()).add(module)
    return {key: sorted(modules) for key, modules in sorted(found.items())}


def as_markdown() -> str:
    """The list in Markdown, with a link to every module that cites a paper."""
    cited, lines = citations(), []
    for key, paper in sorted(PAPERS.items()):
        authors, _, title = paper.partition(". ")
        links = ", ".join(
            f"[{m.removeprefix('minivision.')}](../source/{m})" for m in cited.get(key, [])
        )
        people = re.sub(r"et al$", "et al.", authors)
        lines.append(f"- **{people} {key.split()[1]}.** {title}.  \n  {links}")
    return "\n".join(lines)
