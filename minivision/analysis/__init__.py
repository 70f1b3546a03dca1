"""Analysis: look at networks from outside, at data, at runs and at the engine itself.

passes.py           observe a network's layers during a forward pass
receptive_field.py  what a unit can see
effective_field.py  how much each pixel changes it
saliency.py         which pixels change a class's score, and the feature maps of any layer
activation_maps.py  where the evidence for a class is: CAM and Grad-CAM
localization.py     a box around that evidence, against the true one
occlusion.py        what happens if a part is covered
confusion_pairs.py  which classes are mistaken for which, and in which images
embedding.py        the images as points, close together if the network finds them similar
explanation.py      one page about one prediction
summary.py          layers, parameters, multiply-adds, memory
gradient_cases/     a random example for every differentiable function
expression.py       the reader's own expression, computed on Tensors
backward_page.py    its backward pass, step by step
graph.py            a picture of the graph behind a loss
names.py            names of classes and files in any script
plots.py            curves, confusion, images
comparison.py       several ways of training in one picture
augmentation.py     what augmentation does to an image
policies.py         the results of a search over augmentations
contact_sheet.py    queries, and the images found for them
"""
