"""The networks: ``unet`` (ours, readable top to bottom), ``encoders`` (timm's), ``presets``."""
