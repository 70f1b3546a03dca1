"""Analysis: look at networks from outside, at data, at runs and at the engine itself.

passes.py           passes through a network that are only watched
receptive_field.py  what a unit can see
effective_field.py  how much each pixel moves it
saliency.py         which pixels move a class, and what the layers make of an image
activation_maps.py  where the evidence for a class is: CAM and Grad-CAM
localization.py     a box around that evidence, against the true one
occlusion.py        what happens where a part is covered
confusion_pairs.py  which classes are taken for which, and in which images
embedding.py        the images as points, near each other where the network finds them alike
explanation.py      one page about one answer
summary.py          layers, parameters, multiply-adds, memory
gradient_cases/     a random example for every differentiable function
graph.py            a picture of the graph behind a loss
names.py            names of classes and files in any script
plots.py            curves, confusion, images
comparison.py       several ways of training in one picture
augmentation.py     what augmentation does to an image
policies.py         what a search over augmentations found
contact_sheet.py    queries, and the images that were found for them
"""
