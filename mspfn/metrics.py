"""PSNR and SSIM of `rainsynth.metrics`, for those who work with the networks only."""

from rainsynth.metrics import psnr_rgb, psnr_y, ssim_rgb, ssim_y

__all__ = ["psnr_rgb", "psnr_y", "ssim_rgb", "ssim_y"]
