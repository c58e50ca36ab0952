variable "name" {
  description = "Name of the distribution and its policies."
  type        = string
}

variable "bucket" {
  description = "Bucket that holds the images."
  type = object({
    name                 = string
    regional_domain_name = string
  })
}

variable "images_directory" {
  description = "Folder of `default-avatar.jpg` and `banner.jpg`."
  type        = string
}

variable "allowed_origins" {
  description = "Web origins whose pages may read an image's bytes."
  type        = list(string)
}

variable "domain_name" {
  description = "Name under which the images are served; null for CloudFront's own."
  type        = string
  default     = null

  validation {
    condition     = (var.domain_name == null) == (var.certificate_arn == null)
    error_message = "A domain name and a certificate go together: give both or neither."
  }
}

variable "certificate_arn" {
  description = "Certificate for the domain name, from us-east-1."
  type        = string
  default     = null
}

variable "viewer_protocol_policy" {
  description = "What happens to plain HTTP: redirect-to-https, https-only or allow-all."
  type        = string
  default     = "redirect-to-https"
}

variable "price_class" {
  description = "Which of CloudFront's edge locations serve the images."
  type        = string
  default     = "PriceClass_100"
}

variable "max_ttl_seconds" {
  description = "Seconds for which CloudFront keeps an object at most, whatever its Cache-Control says."
  type        = number
  default     = 86400
}

variable "wait_for_deployment" {
  description = "Return from an apply only once all edge locations know the distribution."
  type        = bool
  default     = true
}
