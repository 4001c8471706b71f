"""The numbers of a network with memory that its torch form and its nodes share."""

PHASES = (-0.5, 0.0, 0.5)
"""Places between samples, each way, over which a past sample is spread."""
LINEAR = 5
"""Side of the filter that learns the linear part of enlarging."""
BANK = 5
"""Side of the filters of the past."""
MATCH_WINDOW = 5
"""Side of the windows in which frames are compared."""
ACTIVITY_WINDOW = 3
"""Side of the windows whose mean a sample is compared with, to see how much differs from sample to sample."""
ACTIVITY_FLOOR = 0.5 / 255
"""Added to the activity: noise of half a code is no mismatch."""
OFF_SCALE = 4.0
"""Of the plane that says what is off: its values are small."""
BEGINNING_OF_TRUST = (1.5, 0.54)
"""Trust is sigmoid(first - second x what is off / activity); training begins with these."""
SHARE_AT_FIRST = -3.0
"""What the network says of the last result before training: sigmoid of it is the share that is taken."""
