"""What a roof should give: sun → clear sky → plane of array → cell temperature → PVWatts, over all roofs at once.

``sky`` has the light without clouds, ``plane`` what of it falls on a tilted plane and enters the glass, ``power`` what
modules and inverter make of it; ``clear`` joins them and keeps an hour of it in a table, so that a reading costs one
interpolation.
"""
