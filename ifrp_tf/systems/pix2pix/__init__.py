"""pix2pix (Isola et al. 2017): a U-Net against a patch critic that sees the portrait too."""
