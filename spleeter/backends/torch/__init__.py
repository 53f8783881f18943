"""The backend that computes with torch: CUDA, MPS and CPU."""
