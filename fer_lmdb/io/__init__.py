"""Images, video, audio, cameras and atomic file writes."""
