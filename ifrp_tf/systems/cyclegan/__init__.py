"""CycleGAN (Zhu et al. 2017): portraits and photographs that need not show the same faces."""
