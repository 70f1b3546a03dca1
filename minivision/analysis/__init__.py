"""Analysis: tools for inspecting networks, data, runs and the engine itself.

passes.py           observe a network's layers during a forward pass
receptive_field.py  what a unit can see
effective_field.py  how much each pixel changes the unit
saliency.py         which pixels change a class's score, and the feature maps of any layer
activation_maps.py  where the evidence for a class is: CAM and Grad-CAM
localization.py     a box around that evidence, compared with the true one
occlusion.py        what happens when part of the image is covered
confusion_pairs.py  which classes are mistaken for which, and in which images
embedding.py        images as points: those that the network finds similar are close together
explanation.py      one page that explains one prediction
summary.py          layers, parameters, multiply-adds, memory
gradient_cases/     a random example for every differentiable function
expression.py       the reader's own expression, computed on Tensors
backward_page.py    the backward pass of that expression, step by step
graph.py            a picture of the graph behind a loss
names.py            class and file names in any script
plots.py            learning curves, confusion matrices, images
comparison.py       several ways of training in one picture
augmentation.py     what augmentation does to an image
policies.py         the results of a search over augmentation policies
contact_sheet.py    queries, and the images found for them
"""
