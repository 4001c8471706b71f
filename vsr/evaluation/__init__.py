"""Picture quality, measured: PSNR, SSIM, MSE, MAE, and the data sets they are measured on."""
